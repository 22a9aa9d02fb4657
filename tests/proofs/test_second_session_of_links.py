"""As `test_second_session`, for what is no plain column: relationships, pairs of rows, JSON that changes in place.

The job has read the rows in an earlier transaction. Then it passes a thing on to the next owner, which the second
session does a hundred times over; or counts in one key of its JSON, the second session in another; or takes the
label "free" off and puts its own on, if it is there, and the second session does the same for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import JSON, Column, ForeignKey, Integer, Table, text
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm.attributes import flag_modified

from instances import Instance
from second_session import Case, SecondSession, act_at_each_moment

Way = Callable[[Any, Any], None]

OWNERS = 0, 1, 100, 101
"""The first one's number, and after the job, the second session, or both have passed the thing on."""

FREE, OURS, THEIRS = 1, 2, 3


class Models(DeclarativeBase):
    """Things, of which each has an owner and labels."""


labels = Table(
    "second_thing_label",
    Models.metadata,
    Column("thing", ForeignKey("second_thing.id"), primary_key=True),
    Column("label", ForeignKey("second_label.id"), primary_key=True),
)


taken_by_the_second = Table("second_taken", Models.metadata, Column("thing", Integer))


class Owner(Models):
    __tablename__ = "second_owner"

    id: Mapped[int] = mapped_column(primary_key=True)
    things: Mapped[list[Thing]] = relationship(back_populates="owner")


class Label(Models):
    __tablename__ = "second_label"

    id: Mapped[int] = mapped_column(primary_key=True)


class Thing(Models):
    __tablename__ = "second_thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("second_owner.id"))
    owner: Mapped[Owner] = relationship(back_populates="things")
    labels: Mapped[list[Label]] = relationship(secondary=labels)
    plain: Mapped[Any] = mapped_column(JSON)
    data: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON))


def next_owner(job: Any, thing: Thing) -> Owner:
    """Return the owner after the one that the thing has."""
    owner: Owner = job.session.get_one(Owner, thing.owner.id + 1)
    return owner


def passed_on(job: Any, thing: Thing) -> None:
    thing.owner = next_owner(job, thing)


def passed_on_by_the_other_side(job: Any, thing: Thing) -> None:
    owner = next_owner(job, thing)
    owner.things.append(thing)
    job.session.flush()  # as long as somebody holds the owner


def passed_on_as_known_before_a_checkpoint(job: Any, thing: Thing) -> None:
    owner = next_owner(job, thing)
    job.checkpoint()
    thing.owner = owner


def passed_on_after_a_savepoint(job: Any, thing: Thing) -> None:
    owner = next_owner(job, thing)
    job.checkpoint()
    nested = job.session.begin_nested()
    thing.owner = owner
    job.session.flush()
    nested.rollback()
    thing.owner = owner


def counted(job: Any, thing: Thing) -> None:
    thing.data["ours"] += 1


def counted_in_what_is_held_over_a_checkpoint(job: Any, thing: Thing) -> None:
    data = thing.data
    job.checkpoint()
    data["ours"] += 1


def counted_and_replaced(job: Any, thing: Thing) -> None:
    data = {**thing.data, "ours": 1}
    job.checkpoint()
    thing.data = data


def counted_after_a_savepoint(job: Any, thing: Thing) -> None:
    nested = job.session.begin_nested()
    thing.data["ours"] += 7
    job.session.flush()
    nested.rollback()
    thing.data["ours"] += 1


def counted_in_plain_json(job: Any, thing: Thing) -> None:
    plain = thing.plain
    job.checkpoint()
    plain["ours"] += 1
    thing.plain = plain
    flag_modified(thing, "plain")


def taken(job: Any, thing: Thing) -> None:
    free = job.session.get_one(Label, FREE)
    if free in thing.labels:
        thing.labels.remove(free)
        thing.labels.append(job.session.get_one(Label, OURS))


def taken_between_two_transactions(job: Any, thing: Thing) -> None:
    ours = job.session.get_one(Label, OURS)
    assert thing.labels
    job.session.commit()
    taken_from, thing.labels = list(thing.labels), [ours]
    if [label.id for label in taken_from] == [THEIRS]:
        thing.labels = taken_from


PASSING: list[Way] = [
    passed_on,
    passed_on_by_the_other_side,
    passed_on_as_known_before_a_checkpoint,
    passed_on_after_a_savepoint,
]

COUNTING: list[Way] = [
    counted,
    counted_in_what_is_held_over_a_checkpoint,
    counted_and_replaced,
    counted_after_a_savepoint,
    counted_in_plain_json,
]

TAKING: list[Way] = [taken, taken_between_two_transactions]

PASS_ON = "UPDATE second_thing SET owner_id = owner_id + 100"

COUNT = {
    "sqlite": "UPDATE second_thing SET "
    + ", ".join(f"{c} = json_set({c}, '$.theirs', json_extract({c}, '$.theirs') + 1)" for c in ("plain", "data")),
    "postgresql": "UPDATE second_thing SET "
    + ", ".join(
        f"{c} = jsonb_set({c}::jsonb, '{{theirs}}', (({c}->>'theirs')::int + 1)::text::jsonb)::json"
        for c in ("plain", "data")
    ),
}

TAKE = f"INSERT INTO second_taken SELECT thing FROM second_thing_label WHERE label = {FREE}; " + (
    f"UPDATE second_thing_label SET label = {THEIRS} WHERE label = {FREE}"
)


def rows(instance: Instance) -> None:
    """Let all be as at first."""
    for table in "second_thing_label", "second_taken":
        instance.query(f"DELETE FROM {table}")
    instance.query("""UPDATE second_thing SET owner_id = 0, plain = :data, data = :data""", data=DATA)
    instance.query(f"INSERT INTO second_thing_label (thing, label) VALUES (1, {FREE})")


DATA = '{"ours": 0, "theirs": 0}'


@pytest.fixture
def linked(instance: Instance) -> Instance:
    """Return an instance whose database has the tables, and the rows."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
        for owner in OWNERS:
            connection.execute(text(f"INSERT INTO second_owner (id) VALUES ({owner})"))
        for label in FREE, OURS, THEIRS:
            connection.execute(text(f"INSERT INTO second_label (id) VALUES ({label})"))
        insert = "INSERT INTO second_thing (id, owner_id, plain, data) VALUES (1, 0, '{}', '{}')"
        connection.exec_driver_sql(insert)
        if connection.dialect.name == "postgresql":
            connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC"))
    return instance


def running(way: Way) -> Callable[[Any, SecondSession], None]:
    """Return what a job does in a way, after it has read all in an earlier transaction."""

    def run(job: Any, second: SecondSession) -> None:
        thing = job.session.get_one(Thing, 1)
        assert thing.owner is not None
        assert thing.labels is not None
        second.job_begins()
        job.session.commit()
        second.transaction_begins(job.session)
        way(job, thing)

    return run


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("way", PASSING, ids=lambda way: way.__name__)
def test_a_thing_that_a_second_session_passes_on_is_passed_on_twice(
    linked: Instance, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(instance: Instance, acted: int) -> None:
        assert instance.query("SELECT owner_id FROM second_thing") == [(1 + 100 * acted,)]

    act_at_each_moment(linked, Case(rows, "FROM second_", PASS_ON, running(way), check), monkeypatch)


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("way", COUNTING, ids=lambda way: way.__name__)
def test_what_a_second_session_writes_into_json_is_kept(
    linked: Instance, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "plain" if way is counted_in_plain_json else "data"
    change = COUNT[linked.database.dialect]

    def check(instance: Instance, acted: int) -> None:
        with instance.session() as session:
            assert getattr(session.get_one(Thing, 1), key) == {"ours": 1, "theirs": acted}

    act_at_each_moment(linked, Case(rows, "FROM second_", change, running(way), check), monkeypatch)


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("way", TAKING, ids=lambda way: way.__name__)
def test_of_two_that_take_a_thing_one_gets_it(linked: Instance, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(instance: Instance, acted: int) -> None:
        now = [label for (label,) in instance.query("SELECT label FROM second_thing_label")]
        assert now == ([THEIRS] if instance.query("SELECT thing FROM second_taken") else [OURS])

    act_at_each_moment(linked, Case(rows, "FROM second_", TAKE, running(way), check), monkeypatch)
