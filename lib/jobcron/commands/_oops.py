"""``jobcron oops``: print the newest reports, or one of them, for people (LP-25)."""

from __future__ import annotations

import argparse
import heapq
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.tables import Event
from jobcron.database.trouble import first_line
from jobcron.errors import ConfigurationError, DatabaseUnavailable, DirectoryError
from jobcron.reports.logs import visible
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import Settings

OOPS_ID = re.compile(r"OOPS-[A-Za-z0-9_-]{1,200}")

NEWEST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("oops_id", nargs="?", metavar="ID")
    parser.add_argument("--json", action="store_true", help="as it was written")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return show_reports(options.config, options.oops_id, options.json)


def show_reports(config: str | None, oops_id: str | None, as_json: bool) -> int:
    """Print one report, or a list of the newest, and return the exit status.

    Args:
        config: the value of ``--config``.
        oops_id: the report's id; None: the list.
        as_json: whether to print the report as it was written.

    Raises:
        ConfigurationError: this is not an id.
        DirectoryError: there is no such report, or it cannot be read.
    """
    settings = load_settings(config)
    if oops_id is None:
        for path in _newest(settings):
            with suppress(DirectoryError):  # perhaps it is just being pruned
                report = _read(path)
                say(visible(f"{report['time'][:19]}  {report['id']}  {report['type']}: {_short(report['value'])}"))
        return 0
    if not OOPS_ID.fullmatch(oops_id):
        raise ConfigurationError(f"expected an id such as OOPS-J5-1-0a1b2c3d, got: {oops_id!r}")
    report = _find(settings, oops_id)
    if as_json:
        say(json.dumps(report, indent=2, ensure_ascii=True))
    else:
        say(visible("\n".join(_readable(report))))
    return 0


def _find(settings: Settings, oops_id: str) -> dict[str, Any]:
    for root in settings.report_directories():
        for path in sorted(Path(root).glob(f"*/{oops_id}")):
            return _read(path)
    in_history = _in_history(settings, oops_id)
    if in_history is None:
        places = ", ".join(settings.report_directories())
        raise DirectoryError(f"expected a report {oops_id} in {places} or in the history of a job, found none")
    return in_history


def _read(path: Path) -> dict[str, Any]:
    try:
        return _checked(path.read_bytes(), str(path))
    except OSError as error:
        raise DirectoryError(f"the report {path} cannot be read: {error.strerror}") from error


def _checked(content: bytes, where: str) -> dict[str, Any]:
    """Decode a report, and check that it is one."""
    found: Any = None
    try:
        found = json.loads(content)
    except ValueError:
        found = _decode(content, where)
    except RecursionError:
        pass
    if not isinstance(found, dict) or not {"id", "type", "value", "time"} <= found.keys():
        raise DirectoryError(f"expected {where} to be a report with id, type, value and time, it is not")
    return found


def _decode(content: bytes, where: str) -> dict[str, Any]:
    """Decode a report from python-oops' date directory."""
    from jobcron.reports import bson

    try:
        return bson.decode(content)
    except ConfigurationError as error:
        raise DirectoryError(f"{where} is not in JSON; to read it as BSON: {error}") from error
    except ValueError as error:
        raise DirectoryError(
            f"expected {where} to be a report as jobcron writes it, in JSON or BSON, it is not"
        ) from error


def _in_history(settings: Settings, oops_id: str) -> dict[str, Any] | None:
    """Return a report that no publisher took: its whole text is then in an event of its job."""
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        with closing(database.session(writing=False)) as session:
            for detail in session.scalars(select(Event.detail).where(Event.oops_id == oops_id)):
                _, _, text = (detail or "").partition("\n")
                with suppress(DirectoryError):
                    return _checked(text.encode(), f"the history of a job with {oops_id}")
    except DBAPIError as error:
        raise DatabaseUnavailable(f"the histories of jobs cannot be read: {first_line(error.orig)}") from error
    finally:
        database.close()
    return None


def _newest(settings: Settings) -> Iterator[Path]:
    paths = [path for root in settings.report_directories() for path in Path(root).glob("*-*-*/OOPS-*")]
    yield from heapq.nlargest(NEWEST, paths, key=_written)


def _written(path: Path) -> float:
    with suppress(OSError):
        return os.stat(path, follow_symlinks=False).st_mtime
    return 0.0


def _readable(report: dict[str, Any]) -> Iterator[str]:
    yield str(report["id"])
    yield f"{report['type']}: {report['value']}"
    yield ""
    for name, key in (("when", "time"), ("host", "hostname"), ("reporter", "reporter"), ("duration", "duration")):
        if report.get(key) is not None:
            unit = " s" if key == "duration" else ""
            yield f"{name:<10}{report[key]}{unit}"
    variables: dict[str, Any] = report.get("req_vars") or {}
    if variables:
        width = max(map(len, variables)) + 2
        yield from ("", "Variables", *(f"  {name:<{width}}{value}" for name, value in variables.items()))
    lines = report.get("tb_text") or []
    yield ""
    yield from (lines.splitlines() if isinstance(lines, str) else lines)
    timeline = report.get("timeline") or []
    if timeline:
        yield from ("", "Statements: from, to (milliseconds), what")
    for start, stop, _, statement in timeline:
        yield f"  {start:>7} {stop:>7}  {' '.join(str(statement).split())}"


def _short(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 100 else f"{line[:99]}…"
