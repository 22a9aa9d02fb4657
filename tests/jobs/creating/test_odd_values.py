"""Values that a column does not take as they are: too long ones, defaults that change in place, None."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import CHAR, JSON, Enum, ForeignKey, Numeric, String, TypeDecorator, event, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, validates

from instances import Instance
from jobcron import BaseRunnableJob, FamilyRow, JobType, job_type_column


class OddType(JobType):
    """Types of jobs for these tests."""

    SHORT = 0


class Base(DeclarativeBase):
    """The metadata of these tests."""


class Crate(Base):
    """What jobs are about."""

    __tablename__ = "odd_crate"

    id: Mapped[int] = mapped_column(primary_key=True)


class Upper(TypeDecorator[str]):
    """Short strings that are written in capitals."""

    impl = String(5)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Return the value as it is written."""
        return value and value.upper()


class ShortRow(FamilyRow, Base):
    """A family whose columns take short values only."""

    __tablename__ = "odd_short"

    job_type: Mapped[OddType] = job_type_column(OddType)
    crate_id: Mapped[int] = mapped_column(ForeignKey("odd_crate.id"))
    crate: Mapped[Crate] = relationship()
    code: Mapped[str | None] = mapped_column(String(5))
    fixed: Mapped[str | None] = mapped_column(CHAR(5))
    listed: Mapped[str | None] = mapped_column(Enum("red", "green", native_enum=False))
    price: Mapped[float | None] = mapped_column(Numeric(5, 2, asdecimal=False))


class LoudRow(FamilyRow, Base):
    """A family with short strings that are decorated."""

    __tablename__ = "odd_loud"

    job_type: Mapped[OddType] = job_type_column(OddType)
    crate_id: Mapped[int] = mapped_column(ForeignKey("odd_crate.id"))
    crate: Mapped[Crate] = relationship()
    code: Mapped[str | None] = mapped_column(Upper)


class KeptRow(FamilyRow, Base):
    """A family with defaults that can be changed in place, or that are looked at."""

    __tablename__ = "odd_kept"

    job_type: Mapped[OddType] = job_type_column(OddType)
    crate_id: Mapped[int] = mapped_column(ForeignKey("odd_crate.id"))
    crate: Mapped[Crate] = relationship()
    notes: Mapped[dict[str, int]] = mapped_column(MutableDict.as_mutable(JSON), default={"first": 1})
    items: Mapped[list[int]] = mapped_column(MutableList.as_mutable(JSON), default=[])


class FilledRow(FamilyRow, Base):
    """A family whose columns have defaults."""

    __tablename__ = "odd_filled"

    job_type: Mapped[OddType] = job_type_column(OddType)
    crate_id: Mapped[int] = mapped_column(ForeignKey("odd_crate.id"))
    crate: Mapped[Crate] = relationship(foreign_keys=[crate_id])
    spare_id: Mapped[int] = mapped_column(ForeignKey("odd_crate.id"), server_default="1")
    spare: Mapped[Crate | None] = relationship(foreign_keys=[spare_id])
    color: Mapped[str | None] = mapped_column(default="red")
    size: Mapped[str | None] = mapped_column(server_default="big")
    name: Mapped[str] = mapped_column(server_default="none")
    tree: Mapped[Any] = mapped_column(JSON, nullable=True, server_default="[]")
    bare: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True, server_default="[]")

    target_name = "crate"

    @validates("name")
    def _upper(self, key: str, value: str | None) -> str | None:
        return value and value.upper()


class Short(BaseRunnableJob[ShortRow]):
    """A job of the family with short values."""

    class_job_type = OddType.SHORT

    def run(self) -> None:
        """Do nothing."""


class Loud(BaseRunnableJob[LoudRow]):
    """A job of the family with capitals."""

    class_job_type = OddType.SHORT

    def run(self) -> None:
        """Do nothing."""


class Kept(BaseRunnableJob[KeptRow]):
    """A job of the family with defaults that change in place."""

    class_job_type = OddType.SHORT

    def run(self) -> None:
        """Do nothing."""


class Filled(BaseRunnableJob[FilledRow]):
    """A job of the family with defaults."""

    class_job_type = OddType.SHORT

    def run(self) -> None:
        """Do nothing."""


@pytest.fixture
def crate(session: Session) -> Crate:
    """Return a crate, in the session."""
    Base.metadata.create_all(session.connection())
    made = Crate()
    session.add(made)
    session.flush()
    return made


@pytest.mark.feature("LP-34")
@pytest.mark.parametrize(
    ("job_class", "name", "value"),
    [
        (Short, "code", "too long"),
        (Short, "fixed", "too long"),
        (Short, "listed", "ultramarine"),
        (Short, "price", 12345.6),
        (Loud, "code", "too long"),
    ],
)
def test_many_jobs_are_refused_values_that_are_too_long(
    instance: Instance, session: Session, crate: Crate, job_class: Any, name: str, value: object
) -> None:
    fits: dict[str, object] = {"code": "FITS", "fixed": "fixed", "listed": "red", "price": 1.25}
    jobs: list[Any] = [{"target": crate, name: fits[name]}, {"target": crate, name: value}]
    (number,) = job_class.createMultiple(jobs[:1])
    assert getattr(job_class.get(number).context, name) == fits[name]
    numbers = job_class.createMultiple([jobs[0], jobs[0], {"target": crate, name: None}])
    assert [getattr(job_class.get(one).context, name) for one in numbers] == [fits[name]] * 2 + [None]
    if instance.database.dialect != "postgresql":
        return  # SQLite has no lengths
    with pytest.raises(DataError):
        job_class.createMultiple(jobs)


@pytest.mark.feature("LP-08")
def test_a_default_that_is_changed_in_place_is_that_of_one_job(session: Session, crate: Crate) -> None:
    first, second = Kept.create(crate), Kept.create(crate)
    first.context.notes["second"] = 2
    first.context.items.append(3)
    third = Kept.create(crate)
    assert [(job.context.notes, job.context.items) for job in (second, third)] == [({"first": 1}, [])] * 2
    session.flush()
    session.expire_all()
    assert (first.context.notes, first.context.items) == ({"first": 1, "second": 2}, [3])


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("is_heard", [False, True])
@pytest.mark.parametrize("way", ["create", "acquire", "createMultiple"])
def test_none_asks_for_the_default_of_a_column(session: Session, crate: Crate, way: str, is_heard: bool) -> None:
    if is_heard:
        event.listen(session, "after_flush", lambda *arguments: None)
    none: dict[str, Any] = dict.fromkeys(("spare", "color", "size", "name", "tree", "bare"))
    if way == "createMultiple":
        (number,) = Filled.createMultiple([{"target": crate, **none}])
        row: Any = Filled.get(number).context
    elif way == "acquire":
        row = Filled.acquire(crate, unique_key="k", **none).context
    else:
        row = Filled.create(crate, **none).context
    expected: tuple[object, ...] = (crate.id, "red", "big", "none", None, [])
    assert (row.spare_id, row.color, row.size, row.name, row.tree, row.bare) == expected
    session.expire_all()
    assert (row.spare_id, row.color, row.size, row.name, row.tree, row.bare) == expected
    assert row.spare is crate
    assert session.scalar(text("SELECT CAST(tree AS text) FROM odd_filled")) == "null"
