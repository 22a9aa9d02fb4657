"""The line of a job's error that says what it was."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Text, case, func

from jobcron.jobs.job import Job

ERROR_LENGTH = 2000
"""How many characters of the end of an error are read for a list: the message of a refused statement is long."""

_FRAME = '  File "'
"""The beginning of a frame of a traceback."""


def end_of_error() -> ColumnElement[str]:
    """Return the end of a job's error, as an SQL expression."""
    start = case((func.length(Job.log) > ERROR_LENGTH, func.length(Job.log) - ERROR_LENGTH + 1), else_=1)
    return func.substr(Job.log, start, type_=Text)


def exception_line(text: str | None) -> str | None:
    """Return the line of an error that names the exception, if it is a traceback; else the last one.

    What follows it are more lines of its message, such as the statement that the database refused, or its notes.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if line.startswith(_FRAME)]
    for line in lines[frames[-1] :] if frames else ():
        if not line[0].isspace():
            return line.strip()
    return lines[-1].strip() if lines else None
