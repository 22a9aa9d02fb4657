"""The part of a job class that drafting, finding and creating its jobs needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from jobcron.errors import IncompleteJobType, MissingCode
from jobcron.jobs.arguments.declared import Declaring, declares, install_fields
from jobcron.jobs.arguments.exact import NOTES
from jobcron.jobs.arguments.json_data import MAX_BYTES, MAX_LEVELS
from jobcron.jobs.family import OF_EVERY_ROW
from jobcron.jobs.job import Job
from jobcron.jobs.registry import TypeName

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from jobcron.database.sessions import AnySession


class JobClass(Declaring):
    """The base of job classes: the family, the limits, and the name of the type."""

    class_job_type: ClassVar[Any] = None
    """The item of the family's enum. A class without one is only a base class, and is not registered."""

    context_class: ClassVar[type[Any]] = Job
    """The mapped class of the family, taken from the class's parameter."""

    has_family: ClassVar[bool] = False
    """Whether the jobs have a row in a family's table besides the shared row."""

    slow_lane_of: ClassVar[type[Any] | None] = None
    """The class whose jobs start again as jobs of this class when they have reached that class's `time_limit`.
    This class inherits from it, and has a type, a longer limit and a section of its own."""

    type_prefix: ClassVar[str | None] = None
    """The prefix of the name of a type without a family table, so that two applications in one database may have
    enums with the same names. By default it is the enum's top-level package, which must not be renamed then; "" is
    no prefix."""

    type_name: ClassVar[str] = cast("str", TypeName())
    """The type's name in the database: ``family_table.TYPE``, or ``package.Enum.TYPE`` without a family table."""

    former_type_name: ClassVar[str]
    """The name without its prefix."""

    job_defaults: ClassVar[dict[str, object]] = {}
    """Values of the shared row that the class sets as attributes, such as ``max_retries = 5``."""

    own_arguments: ClassVar[frozenset[str]] = frozenset()
    """Arguments that jobcron itself declares: every release of an application has them."""

    max_data_bytes: ClassVar[int] = MAX_BYTES
    """The limit for the job's data as JSON, in bytes."""

    max_data_levels: ClassVar[int] = MAX_LEVELS
    """The limit for nested arrays and objects in the job's data."""

    target_identity: ClassVar[tuple[str, ...]] = ()
    """Attributes of the target that never change, such as ``("created",)``, for jobs without a family table. When
    the target is deleted, another object may get its primary key: SQLite reuses the greatest one. If the object
    that has the key then differs in these values, the job fails."""

    @classmethod
    def goes_on(cls, data: Mapping[str, object], steps: Mapping[str, object] | None) -> bool:
        """Return whether a job with these values would continue where it was, not start from the beginning."""
        return False

    @classmethod
    def task_names(cls) -> list[str]:
        """Return the dotted names of the tasks of jobs of several tasks, as rows hold them."""
        return []

    def related_action(self) -> object:
        """Return something that leads people to the job's target, such as a URL; None: nothing.

        `jobcron job` and the job's page in the dashboard show it as text.
        """
        return None

    def check_code(self) -> None:
        """Check that this code has everything that the job's row names; the runner calls this before ``run``.

        Raises:
            MissingCode: something is missing. The job is not started, and waits for code that has it.
        """
        check_arguments(type(self), self.job)

    def note_argument(self, name: str) -> None:
        """Note in the row that the job has this argument."""
        known = _arguments_in(self.job)
        if name not in known:
            self.job.needs = needs_of(type(self), [*known, name])

    @property
    def _document(self) -> dict[str, object]:
        """The job's JSON data, for reading only; `metadata` is for code that may change the data."""
        return self.job.json_data

    @property
    def reported_arguments(self) -> object:
        """The job's declared arguments for a report, as its rows hold them; None if the job has none."""
        data: object = self._document
        stored = dict(data) if isinstance(data, dict) else {}  # else somebody wrote it by hand
        columns = inspect(type(self.context)).column_attrs.keys() if self.has_family else ()
        loaded = vars(self.context)  # nothing is read only for a report
        own = {name: loaded[name] for name in columns if name in loaded and name not in OF_EVERY_ROW}
        return {**own, **{name: stored[name] for name in stored if declares(type(self), name)}} or None

    if TYPE_CHECKING:  # what `BaseRunnableJobSource` defines

        def __init__(self, context: Any) -> None: ...

        loaded: list[object]

        @property
        def job(self) -> Job: ...

        @classmethod
        def get(cls, job_id: int, *, session: AnySession | None = None) -> Self: ...

        @classmethod
        def _select(cls) -> Select[Any]: ...

        @classmethod
        def _new(cls, session: Session, row: object) -> Self: ...

        @classmethod
        def _is_about(cls, target: object) -> ColumnElement[bool]: ...


def enum_of(item: object) -> type[object]:
    """Return the enum of a job type, which may be one of lazr.enum."""
    enum: type[object] = getattr(item, "enum", type(item))  # any object: an item of either kind
    return enum


def item_name(owner: type[JobClass]) -> str:
    """Return the name of a class's job type.

    Raises:
        IncompleteJobType: what it has is no item of an enum.
    """
    item: object = owner.class_job_type
    name: object = getattr(item, "name", None)  # any object: what the author of the class has written
    if isinstance(item, type) or not isinstance(name, str):
        what = f"the class {item.__name__}" if isinstance(item, type) else repr(item)
        raise IncompleteJobType(
            f"expected class_job_type of {owner.__name__} to be an item of an enum, such as MyJobType.SEND_MAIL, "
            f"got {what}"
        )
    return name


def prefix_of(owner: type[JobClass]) -> str:
    """Return the prefix of the name of a type without a family's table; that of jobcron's own types is empty."""
    # why: decisions 2026-11-29, a type without a table has the name of its package
    prefix = owner.type_prefix
    if prefix is None:
        prefix = _package_of(enum_of(owner.class_job_type).__module__)
    return f"{prefix}." if prefix and prefix != "jobcron" else ""


def _package_of(module: str) -> str:
    """Return the top-level package of a module; for a program its own name, by which runners import it."""
    if module == "__main__":
        main = sys.modules["__main__"]
        module = main.__spec__.name if main.__spec__ else os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return module.partition(".")[0]


def needs_of(owner: type[JobClass], given: Iterable[str]) -> str | None:
    """Return the names of what code must have to run a job, as its row keeps them; None if there are none.

    Args:
        owner: the job's class.
        given: the names of the job's arguments, in its data or in the family's table.
    """
    return " ".join([*sorted(set(given) - owner.own_arguments), *owner.task_names()]) or None


def _arguments_in(row: Job) -> list[str]:
    return [name for name in (row.needs or "").split() if "." not in name]


def check_arguments(owner: type[JobClass], row: Job) -> None:
    """Check that a class has the arguments with which a job was created.

    Data that was given as ``metadata`` may have any keys.

    Raises:
        MissingCode: it lacks one, or the data is written in a way that only newer code can read.
    """
    # why: decisions 2026-11-29, a row names what it needs
    missing = [name for name in _arguments_in(row) if not declares(owner, name)]
    if missing:
        what = f"the argument{'s' if len(missing) > 1 else ''} {', '.join(missing)} of {owner.type_name}"
        raise MissingCode(what, f"expected {owner.__name__} to have {what}, with which the job was created")
    data: object = row.json_data
    if isinstance(data, dict) and NOTES in data:
        what = f"the encoding of the data of {owner.type_name}"
        raise MissingCode(what, "expected the job's data to be readable, a newer version has written it")


J = TypeVar("J", bound="JobClass")

_LOAD = "_load_context"


class Delegated:
    """An attribute whose value is in the shared row."""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name

    def __get__(self, instance: JobClass | None, owner: type[JobClass]) -> object:
        """Return the row's value; on the class, return this descriptor."""
        return self if instance is None else getattr(instance.job, self.name)

    def __set__(self, instance: JobClass, value: object) -> None:
        """Set the row's value; the row refuses values that only the runner writes."""
        setattr(instance.job, self.name, value)


def delegated() -> Any:
    """Return a `Delegated`, for any declared type."""
    return Delegated()


class Awaited:
    """The attribute ``context`` of a job that `awaiting` has made: the first use loads it.

    A job that has its context, as nearly all have, has it in its own dictionary, where Python looks before this.
    """

    def __get__(self, job: object, owner: type[object]) -> object:
        """Load the context; on the class, return this descriptor."""
        if job is None:
            return self
        load: Callable[[object], object] | None = vars(job).get(_LOAD)
        if load is None:
            raise AttributeError(f"{owner.__name__} has no context: its __init__ calls no super().__init__")
        context = load(job)
        if "context" in vars(job):
            vars(job).pop(_LOAD, None)
        return context


def awaiting(job_class: type[J], load: Callable[[J], object]) -> J:
    """Return a job whose context is loaded when it is first used.

    Args:
        job_class: the job's class, with no ``__init__`` of its own.
        load: returns the context of a job, and sets it, so that it is kept, with the other objects.
    """
    install_fields(job_class)
    job = object.__new__(job_class)
    values = vars(job)
    values["attempt"], values["loaded"], values[_LOAD] = None, [], load
    return job
