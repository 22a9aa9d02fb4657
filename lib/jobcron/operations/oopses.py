"""The reports of an instance: the newest, one by its id, and groups by their cause."""

from __future__ import annotations

import heapq
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import Database
from jobcron.database.tables import Event
from jobcron.database.trouble import first_line
from jobcron.errors import ConfigurationError, DatabaseUnavailable, DirectoryError
from jobcron.settings.settings import Settings

Report = dict[str, object]

NEWEST = 20
"""How many reports are listed."""

GROUPED = 1000
"""How many of the newest reports are grouped."""

_FRAME = re.compile(r'^ *File "(?P<path>[^"]+)", line (?P<line>\d+)', re.MULTILINE)

_LIBRARY = re.compile(r"/(?:site|dist)-packages/|/lib(?:64)?/python3\.\d+/|/lib/jobcron/|^<")
"""Where files are that are not the application's: installed packages, Python's own, what has no file."""

_JOBCRON = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_VARYING = re.compile(
    r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d+|'[^']*'|\"[^\"]*\""
)
"""What differs between messages of the same cause: numbers, addresses, UUIDs, what is quoted."""


@dataclass(frozen=True)
class ReportGroup:
    """Reports with the same cause: the same error, at the same place, with a message that says the same.

    Attributes:
        count: how many there are.
        type: the class of the error.
        value: the message of the newest.
        place: the last file and line of the application on the way to where it was raised; the place itself if
            there is none; None: unknown.
        first: the time of the oldest, as the report has it.
        last: the time of the newest.
        newest: the id of the newest.
    """

    count: int
    type: str
    value: str
    place: str | None
    first: str
    last: str
    newest: str


def newest_reports(settings: Settings, limit: int = NEWEST) -> Iterator[Report]:
    """Yield the newest reports on disk, the newest first; files that are no reports are left out."""
    for path in _newest(settings, limit):
        with suppress(DirectoryError):  # perhaps it is just being pruned
            yield _read(path)


def group_reports(settings: Settings, limit: int = GROUPED) -> list[ReportGroup]:
    """Group the newest reports by their cause; the group with the most reports first."""
    found: dict[tuple[str, str | None, str], list[Report]] = {}
    top = (settings.application or "").partition(":")[0].partition(".")[0]
    for report in newest_reports(settings, limit):
        key = (str(report["type"]), _place(report, top), _VARYING.sub("…", str(report["value"])[:1000]))
        found.setdefault(key, []).append(report)
    groups = []
    for (kind, place, _), reports in found.items():
        times = sorted(str(report["time"]) for report in reports)
        newest = max(reports, key=lambda report: str(report["time"]))
        group = ReportGroup(
            len(reports), kind, str(newest["value"]), place, times[0], times[-1], str(newest["id"])
        )
        groups.append(group)
    return sorted(groups, key=lambda group: (-group.count, group.type, group.place or ""))


def _place(report: Report, top: str) -> str | None:
    """Return the file and the line of the last frame that is the application's, else of the last frame.

    Args:
        report: the report.
        top: the name of the application's package or module; it may be installed among the libraries.
    """
    text = report.get("tb_text")
    frames = _FRAME.findall("\n".join(map(str, text)) if isinstance(text, list) else str(text))
    own = [frame for frame in frames if _is_own(frame[0], top)]
    path, line = (own or frames or [(None, None)])[-1]
    return None if path is None else f"{path}:{line}"


def _is_own(path: str, top: str) -> bool:
    if top and (f"/{top}/" in path or path.endswith(f"/{top}.py")):
        return True
    return not (_LIBRARY.search(path) or path.startswith(_JOBCRON))


def find_report(settings: Settings, oops_id: str) -> Report:
    """Return a report by its id, from a directory or from the history of a job.

    Raises:
        DirectoryError: there is no such report, or it cannot be read.
    """
    for root in settings.report_directories():
        for path in sorted(Path(root).glob(f"*/{oops_id}")):
            return _read(path)
    in_history = _in_history(settings, oops_id)
    if in_history is None:
        places = ", ".join(settings.report_directories())
        raise DirectoryError(f"expected a report {oops_id} in {places} or in the history of a job, found none")
    return in_history


def _read(path: Path) -> Report:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DirectoryError(f"expected the report {path} to be a file, it is none")
            return _checked(file.read(), str(path))
    except OSError as error:
        raise DirectoryError(f"the report {path} cannot be read: {error.strerror}") from error


def _without_waiting(path: str, flags: int) -> int:
    """Open a file: nobody may ever write into what looks like a report, and is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _checked(content: bytes, where: str) -> Report:
    """Decode a report, and check that it is one."""
    found: object = None
    try:
        found = json.loads(content)
    except ValueError:
        found = _decode(content, where)
    except RecursionError:
        pass
    if not isinstance(found, dict) or not {"id", "type", "value", "time"} <= found.keys():
        raise DirectoryError(f"expected {where} to be a report with id, type, value and time, it is not")
    return found


def _decode(content: bytes, where: str) -> Report:
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


def _in_history(settings: Settings, oops_id: str) -> Report | None:
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


def _newest(settings: Settings, limit: int) -> Iterator[Path]:
    """Yield the newest files of reports, the newest first; only as many days are looked at as have so many."""
    folders = [folder for root in settings.report_directories() for folder in Path(root).glob("*-*-*")]
    for _, of_day in groupby(sorted(folders, key=_day, reverse=True), key=_day):
        found = heapq.nlargest(limit, (path for folder in of_day for path in folder.glob("OOPS-*")), key=_written)
        yield from found
        limit -= len(found)
        if limit <= 0:
            return


def _day(folder: Path) -> str:
    return folder.name


def _written(path: Path) -> float:
    with suppress(OSError):
        return os.stat(path, follow_symlinks=False).st_mtime
    return 0.0
