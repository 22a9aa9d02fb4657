"""Families: several job types share one table beside the shared `Job` row (LP-06).

A family's table belongs to the application's own metadata::

    class FooJobType(JobType):
        DO_FOO = 0, "Do foo"

    class FooJob(FamilyRow, Base):
        __tablename__ = "foo_job"
        job_type: Mapped[FooJobType] = job_type_column(FooJobType)
        foo_id: Mapped[int] = mapped_column(ForeignKey("foo.id"))
        foo: Mapped[Foo] = relationship()

No ``polymorphic_on``: the registry maps types to classes, so that a row of an unknown type does not break
loading.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from sqlalchemy import Dialect, ForeignKey, Integer, Text, inspect
from sqlalchemy.orm import (
    Mapped,
    MappedColumn,
    RelationshipDirection,
    RelationshipProperty,
    declared_attr,
    mapped_column,
    relationship,
)
from sqlalchemy.types import TypeDecorator

from jobcron.errors import IncompleteJobType, InvalidJobData
from jobcron.jobs.arguments.row_data import RowMetadata
from jobcron.jobs.job import Job
from jobcron.jobs.registry import class_of

Type = TypeVar("Type")
"""The type of an enum's items."""


class JobType(Enum):
    """Base class for enums of job types: each member has a value and a title.

    A standard enum, or a ``DBEnumeratedType`` of lazr.enum, can be used instead.
    """

    title: str

    def __new__(cls, value: int, title: str = "") -> JobType:
        """Create a job type.

        Args:
            value: the value that the family table stores.
            title: the title for people; by default the name in words.

        Raises:
            IncompleteJobType: the value is not a whole number.
        """
        if not isinstance(value, int):
            raise IncompleteJobType(
                f"expected each item of {cls.__name__} to be a number and a title, such as SEND_MAIL = 0, "
                f'"Send a mail"; got {value!r}'
            )
        member = object.__new__(cls)
        member._value_ = value
        member.title = title
        return member

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Refuse an enum in which two names have the same value.

        Raises:
            IncompleteJobType: two names have the same value.
        """
        super().__init_subclass__(**kwargs)
        for name, item in cls.__members__.items():
            if item.name != name:
                raise IncompleteJobType(
                    f"expected each item of {cls.__name__} to have a number of its own, {item.name} and {name} "
                    f"both have {item.value}"
                )

    def __init__(self, *args: object) -> None:
        if not self.title:
            self.title = title_of(self)


class Item(Protocol):
    """An item of an enum: of a standard one, or of lazr.enum."""

    @property
    def name(self) -> str: ...


def title_of(item: Item) -> str:
    """Return the title of an enum's item; if it has none, its name in words."""
    title = getattr(item, "title", None)  # any object: an item of a standard enum or of lazr.enum
    if isinstance(title, str) and title:
        return title
    return item.name.replace("_", " ").capitalize()


class EnumItem(TypeDecorator[object]):
    """An item of an enum, stored by its value; a value that the enum lacks is returned as it is.

    Args:
        enum: a standard enum, or one of lazr.enum; a migration may omit it.
    """

    impl = Integer
    cache_ok = True

    def __init__(self, enum: Iterable[object] = ()) -> None:
        super().__init__()
        items = list(getattr(enum, "items", enum))  # any object: a standard enum, or one of lazr.enum
        self.enum = enum
        self._items = {item.value: item for item in items}
        if any(isinstance(value, str) for value in self._items):
            self.impl = Text()  # type: ignore[assignment]

    def process_bind_param(self, value: object, dialect: Dialect) -> object:
        """Return the value for the driver."""
        return getattr(value, "value", value)  # any object: an item, or the value of one

    def process_result_value(self, value: object, dialect: Dialect) -> object:
        """Return the value for the application."""
        return self._items.get(value, value)


def render_item(kind: str, thing: object, autogen_context: object) -> str | Literal[False]:
    """Render a family's ``job_type`` column as its plain SQL type in the application's Alembic migrations.

    Pass it as ``context.configure(render_item=jobcron.render_item)`` in the application's ``env.py``.
    """
    if kind == "type" and isinstance(thing, EnumItem):
        return f"sa.{type(thing.impl).__name__}()"
    return False


def job_type_column(enum: Iterable[Type]) -> MappedColumn[Type]:
    """Return the column of a family table that holds the job's type."""
    return mapped_column(EnumItem(enum), nullable=False)


OF_EVERY_ROW = frozenset({"id", "job", "job_type"})
"""The attributes that every row of a family has."""


class FamilyRow:
    """Mixin for family tables: the job's number is the primary key, and ``job`` is the shared row.

    The objects of the row's many-to-one relationships are loaded when the job is claimed. Objects to which those
    refer are loaded when the job first uses them, and this opens a transaction that stays open. If the job begins
    with work outside the database, have them loaded too, with ``relationship(lazy="joined")`` on the target.

    The primary key is called ``id`` here and ``job`` in SQL.
    """

    __tablename__: str
    job_type: Any

    target_name: ClassVar[str | None] = None
    """The relationship to the job's target; needed only if there are several relationships."""

    metadata: Any = RowMetadata(attrgetter("job"))
    """The job's JSON data, as `BaseRunnableJob.metadata`; of the class the ``MetaData`` with its table."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Make ``metadata`` the job's data in rows, in whatever order the class lists its bases."""
        super().__init_subclass__(**kwargs)
        found = next(vars(base)["metadata"] for base in cls.__mro__ if "metadata" in vars(base))
        if not isinstance(found, RowMetadata):
            type.__setattr__(cls, "metadata", RowMetadata(attrgetter("job"), found))

    def makeDerived(self) -> object:
        """Return the runnable job for this row, an instance of the class that has its type.

        Raises:
            UnknownJobType: no class in this process has the row's type.
        """
        item = self.job_type
        name = getattr(item, "name", item)  # any object: an item of an enum, or a value that the enum lacks
        made: object = class_of(f"{self.__tablename__}.{name}")(self)
        return made

    @declared_attr
    def id(cls) -> Mapped[int]:
        """Return the column of the job's number; deleting the job deletes the row."""
        job_id = Job.__table__.c.id
        return mapped_column("job", ForeignKey(job_id, ondelete="CASCADE"), primary_key=True)

    @declared_attr
    def job(cls) -> Mapped[Job]:
        """Return the relationship to the shared row."""
        return relationship(Job)


def many_to_one(row_class: type[object]) -> list[RelationshipProperty[object]]:
    """Return a family's relationships to one object each, without the shared row."""
    return [
        r
        for r in inspect(row_class).relationships
        if r.direction is RelationshipDirection.MANYTOONE and r.key != "job"
    ]


@cache
def names_of(row_class: type[object]) -> frozenset[str]:
    """Return the names of a job's values in the family's table, besides its number and type."""
    return frozenset(attribute.key for attribute in inspect(row_class).attrs) - OF_EVERY_ROW


def target_name(row_class: type[FamilyRow]) -> str:
    """Return the name of the relationship to the target of the family's jobs.

    Raises:
        InvalidJobData: there is none, or there are several and the family does not choose one.
    """
    if row_class.target_name:
        return row_class.target_name
    family: object = row_class  # to mypy a class is not always hashable
    return _only_target(family)


@cache
def _only_target(row_class: type[object]) -> str:
    names = [r.key for r in many_to_one(row_class)]
    if len(names) != 1:
        raise InvalidJobData(
            f"expected {row_class.__name__} to have one many-to-one relationship besides job, or to say "
            f"which one is the target by target_name, got {', '.join(names) or 'none'}"
        )
    return names[0]
