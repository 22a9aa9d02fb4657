"""``jobcron oops``: print the newest reports, or one of them, for people (LP-25)."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator

from jobcron.commands._output import say
from jobcron.commands._printing import say_json, say_table
from jobcron.errors import ConfigurationError
from jobcron.operations.oopses import find_report, group_reports, newest_reports
from jobcron.reports.logs import visible
from jobcron.settings.instance import load_settings

OOPS_ID = re.compile(r"OOPS-[A-Za-z0-9_-]{1,200}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("oops_id", nargs="?", metavar="ID")
    parser.add_argument("--group", action="store_true", help="group the newest 1,000 by their cause")
    parser.add_argument("--json", action="store_true", help="print a report as it was written, or groups as JSON")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    if options.group:
        if options.oops_id is not None:
            raise ConfigurationError("expected an id or --group, got both")
        return show_groups(options.config, options.json)
    return show_reports(options.config, options.oops_id, options.json)


LISTED = ("id", "time", "type", "value")
"""What a list of reports says of each."""


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
        reports = list(newest_reports(settings))
        if as_json:
            say_json({"reports": [{name: str(report[name]) for name in LISTED} for report in reports]})
            return 0
        for report in reports:
            time, value = str(report["time"])[:19], _short(str(report["value"]))
            say(visible(f"{time}  {report['id']}  {report['type']}: {value}"))
        return 0
    if not OOPS_ID.fullmatch(oops_id):
        raise ConfigurationError(f"expected an id such as OOPS-J5-1-0a1b2c3d, got: {oops_id!r}")
    report = find_report(settings, oops_id)
    if as_json:
        say(json.dumps(report, indent=2, ensure_ascii=True))
    else:
        say(visible("\n".join(_readable(report))))
    return 0


def show_groups(config: str | None, as_json: bool) -> int:
    """Print the newest reports grouped by their cause, and return the exit status."""
    groups = group_reports(load_settings(config))
    if as_json:
        say_json({"groups": groups})
        return 0
    rows = [
        (one.count, one.first[:19], one.last[:19], one.newest, one.place, f"{one.type}: {_short(one.value)}")
        for one in groups
    ]
    say_table(("reports", "first", "last", "newest", "place", "error"), rows)
    return 0


def _readable(report: dict[str, object]) -> Iterator[str]:
    yield str(report["id"])
    yield f"{report['type']}: {report['value']}"
    yield ""
    for name, key in (("when", "time"), ("host", "hostname"), ("reporter", "reporter"), ("duration", "duration")):
        if report.get(key) is not None:
            unit = " s" if key == "duration" else ""
            yield f"{name:<10}{report[key]}{unit}"
    variables = report.get("req_vars")
    if isinstance(variables, dict) and variables:
        width = max(map(len, variables)) + 2
        yield from ("", "Variables", *(f"  {name:<{width}}{value}" for name, value in variables.items()))
    lines = report.get("tb_text") or ""
    yield ""
    yield from (map(str, lines) if isinstance(lines, list) else str(lines).splitlines())
    timeline = report.get("timeline")
    if isinstance(timeline, list) and timeline:
        yield from ("", "Statements: from, to (milliseconds), what")
        for start, stop, _, statement in timeline:
            yield f"  {start:>7} {stop:>7}  {' '.join(str(statement).split())}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
