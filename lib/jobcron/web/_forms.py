"""The form that creates a job: the fields come from what the class or the function declares."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from wtforms import Field, Form, IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from jobcron.errors import InvalidJobData
from jobcron.functions.calls import FunctionJob
from jobcron.functions.registered import function_named, function_names
from jobcron.jobs.arguments.declared import Missing, written
from jobcron.jobs.registry import registered
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.operations.asking import age_of, moment_of

PREFIX = "argument-"
"""What the fields of arguments begin with: a job may call one of them as it likes."""

Unsaid = inspect.Parameter.empty
"""Stands for an annotation or a default that is not there."""

LONGEST = 100_000
"""The longest value of an argument, in characters."""


@dataclass(frozen=True)
class Parameter:
    """An argument of a job that is to be created.

    Attributes:
        name: its name.
        type: its type, as in the code; None: it says none.
        is_text: whether only texts fit.
        is_required: whether there is no default.
        default: the default, as in the code.
    """

    name: str
    type: str | None
    is_text: bool
    is_required: bool
    default: str | None


@dataclass(frozen=True)
class Creatable:
    """A job class or a function of which jobs can be created.

    Attributes:
        name: as `create_job` takes it.
        parameters: the arguments.
        has_target: whether it can be about something.
        needs_target: whether it has to be.
    """

    name: str
    parameters: tuple[Parameter, ...]
    has_target: bool
    needs_target: bool


def creatable_names() -> list[str]:
    """Return the names of the job types and the functions of this process."""
    types = [
        name for name, source in registered().items()
        if issubclass(source, BaseRunnableJob) and not issubclass(source, FunctionJob)
    ]  # fmt: skip
    return [*sorted(types), *sorted(function_names())]


def creatable(name: str) -> Creatable | None:
    """Return what a job of this name takes; None: there is none of this name."""
    source = registered().get(name)
    if source is not None and issubclass(source, BaseRunnableJob) and not issubclass(source, FunctionJob):
        declared = source.declared()
        found = [
            _parameter(one.name, declared.hints.get(one.name, Unsaid), one.default)
            for one in declared.arguments.values()
        ]
        has_target = source.has_family or declared.target is not None
        needs_target = source.has_family or not declared.target_is_optional
        return Creatable(name, tuple(found), has_target, needs_target)
    if name in function_names():
        return Creatable(name, tuple(_of_function(name)), False, False)
    return None


def _of_function(name: str) -> Iterator[Parameter]:
    function = function_named(name)
    names = list(function.signature.parameters.values())[function.takes_job + function.takes_session :]
    for one in names:
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            default = Missing if one.default is Unsaid else one.default
            yield _parameter(one.name, one.annotation, default)


def _parameter(name: str, hint: object, default: object) -> Parameter:
    """Return an argument, given what it is annotated with, or `Unsaid`, and its default, or `Missing`."""
    told = hint if isinstance(hint, str) else written(hint)
    is_required = default is Missing
    return Parameter(
        name, None if hint is Unsaid else told, told == "str", is_required, None if is_required else repr(default)
    )


class RowForm(Form):
    """What every job has."""

    target = StringField("Target", [Optional(), Length(max=1000)])
    start = StringField("Not before", [Optional(), Length(max=100)])
    priority = IntegerField("Priority", [Optional(), NumberRange(-(2**31), 2**31 - 1)])
    queue = StringField("Queue", [Optional(), Length(max=200)])
    description = StringField("Description", [Optional(), Length(max=1000)])
    unique_key = StringField("Unique key", [Optional(), Length(max=1000)])

    def values(self) -> dict[str, object]:
        """Return the values of the row, by the names that `create_job` has for them.

        Raises:
            InvalidJobData: the time is none.
        """
        found = {
            "priority": self.priority.data,
            "queue_name": self.queue.data,
            "description": self.description.data,
            "unique_key": self.unique_key.data,
            "scheduled_start": _start(self.start.data or ""),
        }
        return {name: value for name, value in found.items() if value not in (None, "")}


def _start(text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return datetime.now(UTC) + age_of(text.strip())
    except ValueError:
        pass
    try:
        return moment_of(text.strip())
    except ValueError as error:
        raise InvalidJobData(f"Not before: expected a duration such as 2h, or a time; {error}") from error


def form_for(wanted: Creatable) -> type[RowForm]:
    """Return the class of the form that creates such jobs."""
    fields: dict[str, object] = {}
    for one in wanted.parameters:
        checks = [InputRequired() if one.is_required and not one.is_text else Optional(), Length(max=LONGEST)]
        fields[PREFIX + one.name] = TextAreaField(one.name, checks)
    return type("JobForm", (RowForm,), fields)


def arguments_of(form: RowForm, wanted: Creatable) -> dict[str, object]:
    """Return the arguments that a form has: what is left empty keeps its default."""
    found: dict[str, object] = {}
    for one in wanted.parameters:
        field: Field = form[PREFIX + one.name]
        text: str = field.data or ""
        if one.is_text and (text or one.is_required):
            found[one.name] = text
        elif text.strip():
            found[one.name] = _value(text)
    return found


def _value(text: str) -> object:
    """Return a value as JSON has it; what is not JSON is a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
