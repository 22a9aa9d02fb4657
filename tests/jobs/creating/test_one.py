"""One job: its rows are written by statements of ours, and nobody who uses SQLAlchemy sees a difference."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import JSON, ForeignKey, event, inspect, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError, PendingRollbackError
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, validates
from sqlalchemy.orm.exc import ObjectDeletedError

from instances import Instance
from jobcron import BaseRunnableJob, DuplicateJob, FamilyRow, JobType, after_commit, job_type_column
from query_cost import noted_statements


class OneType(JobType):
    """Types of jobs for these tests."""

    PLAIN = 0
    HEARD = 1
    COUNTED = 2
    SHELVED = 3
    GREEDY = 4
    EXACT = 5


class Base(DeclarativeBase):
    """The metadata of these tests."""


class Shelf(Base):
    """What jobs are about."""

    __tablename__ = "one_shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    shelved: Mapped[list[ShelvedRow]] = relationship(back_populates="shelf")


class PlainRow(FamilyRow, Base):
    """A family with columns of many kinds, for which no unit of work is needed."""

    __tablename__ = "one_plain"

    job_type: Mapped[OneType] = job_type_column(OneType)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("one_shelf.id"))
    shelf: Mapped[Shelf] = relationship()
    renamed: Mapped[str | None] = mapped_column("strange name")
    constant: Mapped[int] = mapped_column(default=7)
    of_server: Mapped[str] = mapped_column(server_default="server's")
    notes: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON))
    at: Mapped[datetime | None]


class HeardRow(FamilyRow, Base):
    """A family whose values are looked at when they are set."""

    __tablename__ = "one_heard"

    job_type: Mapped[OneType] = job_type_column(OneType)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("one_shelf.id"))
    shelf: Mapped[Shelf] = relationship()
    words: Mapped[list[str]] = mapped_column(MutableList.as_mutable(JSON), server_default="[]")
    name: Mapped[str] = mapped_column(server_default="none")

    @validates("name")
    def _upper(self, key: str, value: str) -> str:
        return value.upper()


class CountedRow(FamilyRow, Base):
    """A family with a version and a default that is called."""

    __tablename__ = "one_counted"

    job_type: Mapped[OneType] = job_type_column(OneType)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("one_shelf.id"))
    shelf: Mapped[Shelf] = relationship()
    called: Mapped[str] = mapped_column(default=lambda: "called")
    version: Mapped[int] = mapped_column()
    __mapper_args__: Any = {"version_id_col": version}


class ShelvedRow(FamilyRow, Base):
    """A family whose target knows its rows."""

    __tablename__ = "one_shelved"

    job_type: Mapped[OneType] = job_type_column(OneType)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("one_shelf.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="shelved")


class GreedyRow(FamilyRow, Base):
    """A family with a constructor of its own."""

    __tablename__ = "one_greedy"

    job_type: Mapped[OneType] = job_type_column(OneType)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("one_shelf.id"))
    shelf: Mapped[Shelf] = relationship()
    label: Mapped[str]

    def __init__(self, **values: Any) -> None:
        super().__init__(label=f"of {values['shelf'].label}", **values)


class Plain(BaseRunnableJob[PlainRow]):
    """A job of the plain family."""

    class_job_type = OneType.PLAIN

    def run(self) -> None:
        """Do nothing."""


class Heard(BaseRunnableJob[HeardRow]):
    """A job of the family with listeners."""

    class_job_type = OneType.HEARD

    def run(self) -> None:
        """Do nothing."""


class Counted(BaseRunnableJob[CountedRow]):
    """A job of the family with versions."""

    class_job_type = OneType.COUNTED

    def run(self) -> None:
        """Do nothing."""


class Shelved(BaseRunnableJob[ShelvedRow]):
    """A job of the family that its target knows."""

    class_job_type = OneType.SHELVED

    def run(self) -> None:
        """Do nothing."""


class Greedy(BaseRunnableJob[GreedyRow]):
    """A job of the family with a constructor."""

    class_job_type = OneType.GREEDY

    def run(self) -> None:
        """Do nothing."""


class Exact(BaseRunnableJob):
    """A job without a family."""

    class_job_type = OneType.EXACT
    copies: int = 1

    def run(self) -> None:
        """Do nothing."""


@pytest.fixture
def shelf(session: Session) -> Shelf:
    """Return a shelf, in the session."""
    Base.metadata.create_all(session.connection())
    made = Shelf(label="A")
    session.add(made)
    session.flush()
    return made


def stored(session: Session, job: Any) -> dict[str, Any]:
    """Return the values of a job's rows as the database has them."""
    session.flush()
    fresh = [
        session.get_one(type(row), row.id, populate_existing=True) for row in dict.fromkeys((job.job, job.context))
    ]
    return {f"{type(row).__name__}.{name}": value for row in fresh for name, value in shown(row).items()}


def shown(row: Any) -> dict[str, Any]:
    """Return the values that a row's object shows."""
    return {name: getattr(row, name) for name, _ in inspect(row).mapper.column_attrs.items()}


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize(
    ("job_class", "values", "expected"),
    [
        (Plain, {}, {"constant": 7, "of_server": "server's", "renamed": None, "notes": None}),
        (
            Plain,
            {"renamed": "x", "constant": 0, "notes": {"a": [1]}, "at": datetime(2026, 1, 2, 3)},
            {"constant": 0, "renamed": "x", "notes": {"a": [1]}, "at": datetime(2026, 1, 2, 3)},
        ),
        (Heard, {}, {"words": [], "name": "none"}),
        (Heard, {"name": "x", "words": ["y"]}, {"words": ["y"], "name": "X"}),
        (Counted, {}, {"called": "called", "version": 1}),
        (Shelved, {}, {}),
        (Greedy, {}, {"label": "of A"}),
        (Exact, {"copies": 3, "max_retries": None, "priority": -1}, {"priority": -1, "max_retries": None}),
    ],
)
def test_a_new_job_shows_what_its_rows_have(
    session: Session, shelf: Shelf, job_class: Any, values: dict[str, Any], expected: dict[str, Any]
) -> None:
    target = () if job_class is Exact else (shelf,)
    job = job_class.create(*target, session=session, **values)
    with noted_statements() as noted:
        seen = {
            f"{type(row).__name__}.{name}": value
            for row in dict.fromkeys((job.job, job.context))
            for name, value in shown(row).items()
        }
        assert job.job.json_data == ({"copies": 3} if job_class is Exact else {})
    assert noted == [], "a new job's values are there without asking again"
    assert {name: getattr(job.context, name) for name in expected} == expected
    assert seen == stored(session, job)
    assert not session.dirty
    if job_class is Shelved:
        assert shelf.shelved == [job.context]


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("job_class", [Plain, Heard, Counted, Shelved, Greedy])
def test_a_new_job_is_an_object_of_the_session_like_any_other(
    session: Session, shelf: Shelf, job_class: Any
) -> None:
    job = job_class.create(shelf)
    with noted_statements() as noted:
        assert session.get(job_class.context_class, job.id) is job.context
        assert session.get(type(job.job), job.id) is job.job
        row: Any = job.context
        assert row.job is job.job
        assert job.target is shelf
    assert noted == []
    job.metadata["done"] = ["a"]
    job.metadata["done"].append("b")
    other = Shelf(label="B")
    session.add(other)
    row.shelf = other
    session.flush()
    session.expire_all()
    assert job.job.json_data == {"done": ["a", "b"]}
    assert row.shelf_id == other.id
    session.refresh(job.context)
    session.delete(job.context)
    session.delete(job.job)
    session.flush()
    with pytest.raises(LookupError):
        job_class.get(job.id, session=session)


def test_values_that_change_in_place_are_written(session: Session, shelf: Shelf) -> None:
    job = Plain.create(shelf, notes={"a": 1})
    other = Heard.create(shelf)
    assert job.context.notes is not None
    job.context.notes["b"] = 2
    other.context.words.append("w")
    session.flush()
    session.expire_all()
    assert (job.context.notes, other.context.words) == ({"a": 1, "b": 2}, ["w"])


def test_a_related_object_that_is_new_is_written_with_the_job(session: Session, shelf: Shelf) -> None:
    job = Plain.create(shelf=Shelf(label="new"), session=session)
    assert job.context.shelf.label == "new"
    assert job.context.shelf_id not in (None, shelf.id)


@pytest.mark.feature("LP-08")
def test_after_a_rollback_a_number_that_is_given_again_belongs_to_the_new_job(instance: Instance) -> None:
    Base.metadata.create_all(instance.database.engine)
    with instance.session() as session:
        shelf = Shelf(label="A")
        session.add(shelf)
        session.commit()
        gone = Plain.create(shelf, renamed="gone", metadata={"is": "gone"})
        session.rollback()
        there = Plain.create(shelf, renamed="there", metadata={"is": "there"})
        assert (there.context.renamed, there.metadata) == ("there", {"is": "there"})
        with session.begin_nested() as savepoint:
            Plain.create(shelf, renamed="undone")
            savepoint.rollback()
        last = Plain.create(shelf, renamed="last")
        assert last.context.renamed == "last"
        with pytest.raises((ObjectDeletedError, InvalidRequestError)):
            session.refresh(gone.context)
    assert instance.query('SELECT "strange name" FROM one_plain ORDER BY job') == [("there",), ("last",)]
    assert len(instance.rows()) == 2


@pytest.mark.feature("LP-08")
def test_no_job_is_left_without_its_familys_row(instance: Instance) -> None:
    Base.metadata.create_all(instance.database.engine)
    with instance.database.session() as session:
        shelf = Shelf(label="A")
        session.add(shelf)
        session.commit()
        Plain.create(shelf)
        with pytest.raises(IntegrityError):
            Plain.create(shelf_id=4711 if instance.database.dialect == "postgresql" else None, session=session)
        if instance.database.dialect == "postgresql":
            session.rollback()  # the server has given the transaction up
            Plain.create(shelf)
        session.commit()
    assert len(instance.rows()) == 1
    assert instance.query("SELECT count(*) FROM one_plain") == [(1,)]


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("way", ["create", "acquire"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_after_an_error_no_action_is_done_for_what_is_not_committed(
    instance: Instance, way: str, is_nested: bool
) -> None:
    Base.metadata.create_all(instance.database.engine)
    is_postgresql = instance.database.dialect == "postgresql"
    done: list[str] = []
    with instance.database.session() as session:
        shelf = Shelf(label="A")
        session.add(shelf)
        session.commit()
        Plain.create(shelf)
        after_commit(session, lambda: done.append("mail"))
        savepoint = session.begin_nested() if is_nested else None
        wrong = {"shelf_id": 4711 if is_postgresql else None, "session": session, "unique_key": "k"}
        with pytest.raises(IntegrityError):
            getattr(Plain, way)(**wrong)
        if is_postgresql:
            with pytest.raises(PendingRollbackError, match="IntegrityError|ForeignKeyViolation"):
                session.commit()
            assert done == []
            if savepoint is None:
                session.rollback()
            else:
                savepoint.rollback()
        session.commit()
    assert done == (["mail"] if savepoint is not None or not is_postgresql else [])
    assert len(instance.rows()) == len(done)


@pytest.mark.feature("LP-08")
def test_after_a_duplicate_the_transaction_goes_on(instance: Instance) -> None:
    Base.metadata.create_all(instance.database.engine)
    done: list[str] = []
    with instance.database.session() as session:
        shelf = Shelf(label="A")
        session.add(shelf)
        Plain.create(shelf=shelf, session=session, unique_key="k")
        after_commit(session, lambda: done.append("mail"))
        with pytest.raises(DuplicateJob):
            Plain.create(shelf, unique_key="k")
        Plain.create(shelf, unique_key="other")
        session.commit()
    assert (done, len(instance.rows())) == (["mail"], 2)


Listen = Callable[[Session, list[object]], Any]


def hear_flush(session: Session, heard: list[object]) -> Any:
    """Note what is new when a session is flushed."""
    return (session, "before_flush", lambda s, context, instances: heard.extend(s.new))


def hear_flushed(session: Session, heard: list[object]) -> Any:
    """Note what was new when a session has been flushed."""
    return (session, "after_flush", lambda s, context: heard.extend(s.new))


def hear_insert(session: Session, heard: list[object]) -> Any:
    """Note which rows a mapper inserts."""
    return (PlainRow, "before_insert", lambda mapper, connection, row: heard.append(row))


def hear_base(session: Session, heard: list[object]) -> Any:
    """Note which rows the mappers below a base insert."""
    return (Base, "after_insert", lambda mapper, connection, row: heard.append(row))


def hear_attached(session: Session, heard: list[object]) -> Any:
    """Note which rows are added to a session."""
    return (session, "after_attach", lambda session, row: heard.append(row))


def hear_before_attached(session: Session, heard: list[object]) -> Any:
    """Note which rows are about to be added to a session."""
    return (session, "before_attach", lambda session, row: heard.append(row))


@pytest.mark.parametrize(
    "listen", [hear_flush, hear_flushed, hear_insert, hear_base, hear_attached, hear_before_attached]
)
def test_whoever_listens_to_new_rows_hears_of_them(session: Session, shelf: Shelf, listen: Listen) -> None:
    heard: list[object] = []
    target, name, listener = listen(session, heard)
    event.listen(target, name, listener, propagate=True) if target is Base else event.listen(
        target, name, listener
    )
    try:
        job = Plain.create(shelf)
        acquired = Plain.acquire(shelf, unique_key="k")
    finally:
        event.remove(target, name, listener)
    assert [row for row in heard if isinstance(row, PlainRow)] == [job.context, acquired.context]


def test_what_is_set_on_a_row_when_it_gets_into_the_session_is_written_with_it(
    session: Session, shelf: Shelf
) -> None:
    def label(session: Session, row: object) -> None:
        if isinstance(row, PlainRow):
            row.renamed = "by the listener"

    event.listen(session, "after_attach", label)
    job = Plain.create(shelf)
    with noted_statements() as noted:
        session.flush()
    assert (noted, job.context.renamed) == ([], "by the listener")
    assert session.scalars(select(PlainRow.renamed)).one() == "by the listener"


class Colour(StrEnum):
    """An enum whose items are texts."""

    RED = "red"


def test_a_new_jobs_data_is_what_its_row_has_and_the_callers_own_stays_theirs(
    session: Session, shelf: Shelf
) -> None:
    given: dict[str, Any] = {
        "of": {"zz": [1, 1.0, True, None], "a": 1e22, "zero": -0.0, "large": 10**300},
        "pair": (1, [2, {}]),
        "colour": Colour.RED,
        "empty": {},
    }
    expected = repr(given)
    job = Plain.create(shelf, metadata=given, scheduled_start=datetime(2030, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")))
    given["of"]["zz"].append("the caller's")
    given["pair"][1].append("the caller's")
    seen, start = repr(dict(job.job.json_data)), job.job.scheduled_start
    session.flush()
    session.expire_all()
    assert seen == repr(dict(job.job.json_data)) == expected
    assert repr(start) == repr(job.job.scheduled_start), "in UTC from the beginning"


def test_a_new_jobs_rows_can_be_pickled_and_merged(session: Session, shelf: Shelf) -> None:
    job = Plain.create(shelf, metadata={"done": ["a"]}, notes={"a": 1})
    session.commit()
    session.refresh(job.context)
    session.refresh(job.job)
    stored = pickle.dumps((job.context, job.job))
    session.close()
    row, shared = map(session.merge, pickle.loads(stored))
    row.notes["b"], shared.json_data["more"] = 2, 1
    shared.json_data["done"].append("b")
    session.commit()
    assert (row.notes, shared.json_data) == ({"a": 1, "b": 2}, {"done": ["a", "b"], "more": 1})


def test_whoever_listens_to_statements_of_a_session_hears_of_the_insert(session: Session, shelf: Shelf) -> None:
    heard: list[bool] = []
    event.listen(session, "do_orm_execute", lambda execution: heard.append(execution.is_insert))
    Exact.create(session=session)
    assert True in heard


@pytest.mark.parametrize("job_class", [Plain, Greedy])
def test_a_familys_row_sees_what_the_database_makes_of_its_job(instance: Instance, job_class: Any) -> None:
    Base.metadata.create_all(instance.database.engine)
    if instance.database.dialect == "postgresql":
        instance.query(
            "CREATE FUNCTION raise_priority() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.priority = 3; RETURN NEW; END $$"
        )
        instance.query(
            "CREATE TRIGGER mine BEFORE INSERT ON jobcron_job FOR EACH ROW EXECUTE FUNCTION raise_priority()"
        )
    with instance.session() as session:
        shelf = Shelf(label="A")
        session.add(shelf)
        session.flush()
        job = job_class.create(shelf, session=session)
        assert job.priority == (3 if instance.database.dialect == "postgresql" else 10)
        session.execute(text("UPDATE jobcron_job SET priority = 5"))
        session.refresh(job.job)
        assert job.priority == 5
        assert (datetime.now(UTC) - job.date_created).total_seconds() < 300
