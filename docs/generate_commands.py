"""Generate the reference of the subcommands of ``jobcron``: their options, from the parsers, and their JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import re
import sys
import typing
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from types import UnionType
from typing import Any
from uuid import UUID

from generate_text import plain, table

from jobcron.commands.main import COMMANDS, main
from jobcron.jobs.graphs.reading import Neighbour
from jobcron.operations.acts import Refusal
from jobcron.operations.details import AboutJob, JobDetails, JobEvent
from jobcron.operations.doctor import Finding
from jobcron.operations.forecast.plan import DueSchedule, Plan, PlannedJob
from jobcron.operations.forecast.trial import ColumnChange, RowChange, StatementCount, Trial
from jobcron.operations.listing import Count, JobSummary
from jobcron.operations.oopses import ReportGroup
from jobcron.operations.pauses import Pause
from jobcron.operations.processes.runners import RunnerState
from jobcron.operations.processes.workers import WorkerState
from jobcron.operations.reasons import Explanation, Reason
from jobcron.operations.schedules.acts import ScheduleState
from jobcron.operations.sections import RunState, SectionState, TypeState
from jobcron.operations.undo import ActState

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each plugin when it is imported

COLUMNS = 100
"""The width of the help texts."""

SHAPES: dict[str, type[Any]] = {
    "A job in a list": JobSummary,
    "A job with everything": JobDetails,
    "An event of a job": JobEvent,
    "A predecessor or a successor of a job": Neighbour,
    "What a job's class says": AboutJob,
    "An explanation": Explanation,
    "A reason": Reason,
    "A plan": Plan,
    "A planned job": PlannedJob,
    "A schedule that creates jobs first": DueSchedule,
    "A trial": Trial,
    "A changed row": RowChange,
    "A changed column": ColumnChange,
    "Counted statements": StatementCount,
    "A refused job": Refusal,
    "A finding": Finding,
    "A section": SectionState,
    "A runner": RunnerState,
    "A worker": WorkerState,
    "A pause": Pause,
    "An act": ActState,
    "A run": RunState,
    "A schedule": ScheduleState,
    "A group of reports": ReportGroup,
    "A type": TypeState,
    "A number of jobs": Count,
}

JSON_TYPES: dict[Any, str] = {
    int: "number",
    float: "number",
    str: "text",
    bool: "true or false",
    datetime: "time in UTC, such as `2026-11-22T08:30:00+00:00`",
    timedelta: "seconds",
    UUID: "text",
}


def commands() -> str:
    """Return the help of every subcommand."""
    parts = []
    for name, purpose in COMMANDS.items():
        parts.append(
            f"## `jobcron {name}`\n\n{purpose[0].upper()}{purpose[1:]}.\n\n```text\n{help_of(name)}\n```\n"
        )
    return "\n".join(parts)


def help_of(name: str) -> str:
    """Return what a subcommand prints with ``--help``."""
    printed, before = io.StringIO(), (sys.argv, os.environ.get("COLUMNS"))
    sys.argv, os.environ["COLUMNS"] = ["jobcron"], str(COLUMNS)
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([name, "--help"])
    finally:
        sys.argv = before[0]
        os.environ.pop("COLUMNS")
        if before[1] is not None:
            os.environ["COLUMNS"] = before[1]
    return printed.getvalue().strip()


def shapes() -> str:
    """Return what each value that ``--json`` prints consists of."""
    parts = []
    for head, shape in SHAPES.items():
        meanings = _meanings(shape)
        hints = typing.get_type_hints(shape)
        rows = [
            [f"`{field.name}`", _json_type(hints[field.name]), meanings.get(field.name, "")]
            for field in dataclasses.fields(shape)
        ]
        parts.append(f"### {head}\n\n{table(['name', 'type', 'meaning'], rows)}")
    return "\n".join(parts)


def _meanings(shape: type[Any]) -> dict[str, str]:
    """Return the meaning of each attribute, from the docstrings of the class and of those that it extends."""
    found: dict[str, str] = {}
    for owner in reversed(shape.__mro__):
        _, _, text = (owner.__doc__ or "").partition("Attributes:")
        for part in re.split(r"\n        (?=\w+: )", text)[1:]:
            name, _, meaning = part.partition(": ")
            found[name] = plain(meaning)
    return found


def _json_type(hint: Any) -> str:
    if typing.get_origin(hint) is UnionType:
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return f"{' or '.join(map(_json_type, kinds))}, or null"
    if typing.get_origin(hint) is tuple:
        return f"list of: {_json_type(typing.get_args(hint)[0])}"
    if typing.get_origin(hint) is dict:
        return "object"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(
            f"`{item.value if isinstance(item, StrEnum) else item.name}`" for item in hint
        )
    for head, shape in SHAPES.items():
        if hint is shape:
            return f"[{head[0].lower()}{head[1:]}](#{head.lower().replace(' ', '-').replace(chr(39), '')})"
    return JSON_TYPES[hint]
