"""The line of a job's error that says what it was."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Text, case, func

from jobcron.jobs.job import Job

BEGINNING = 300
"""How many characters of the beginning of an error are read for a list: an error without a traceback is there."""

END = 2000
"""How many of its end are read: the message of a refused statement is long."""

_CUT = "\n…\n"
"""What stands for the rest."""

_TRACEBACK = re.compile(r"Traceback\b|  \+ Exception Group Traceback\b")
"""How a traceback begins; the last words of a process that died have frames, but not this."""

_FRAME = re.compile(r'(  \| )?  File ".*", line \d+')
"""The beginning of a frame, of an exception or of a group of them."""

_MARGIN = "  | "
"""What the lines of a group begin with; those of its members have more."""


def ends_of_error() -> ColumnElement[str]:
    """Return the beginning and the end of a job's error, as an SQL expression."""
    beginning = func.substr(Job.log, 1, BEGINNING, type_=Text)
    end = func.substr(Job.log, func.length(Job.log) - END + 1, type_=Text)
    return case((func.length(Job.log) > BEGINNING + END, beginning + _CUT + end), else_=Job.log)


def exception_line(text: str | None) -> str | None:
    """Return the line of an error that names the exception; without a traceback, that is the first one.

    What follows it are more lines of its message, such as the statement that the database refused, its notes, or
    the last words of the job's process.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if not lines:
        return None
    if not any(_TRACEBACK.match(line) for line in lines):
        return lines[0].strip()
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    for line in lines[frames[-1] :] if frames else ():
        told = line.removeprefix(_MARGIN)
        if not told[0].isspace() and told != _CUT.strip():
            return told.strip()
    return lines[-1].strip()
