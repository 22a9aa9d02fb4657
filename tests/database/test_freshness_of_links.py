"""What a job writes by relationships, in a later transaction than it read: no change of others is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Table, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    contains_eager,
    mapped_column,
    relationship,
    selectinload,
)

from instances import Instance
from jobcron.errors import ChangedMeanwhile


class Models(DeclarativeBase):
    """Boxes with parts, and labels on parts."""


labels = Table(
    "part_label",
    Models.metadata,
    Column("part", ForeignKey("linked_part.id"), primary_key=True),
    Column("label", ForeignKey("linked_label.id"), primary_key=True),
)


class Box(Models):
    __tablename__ = "linked_box"

    id: Mapped[int] = mapped_column(primary_key=True)
    parts: Mapped[list[Part]] = relationship(back_populates="box")
    notes: Mapped[list[Note]] = relationship(cascade="all, delete-orphan")
    spares: Mapped[list[Spare]] = relationship()


class Label(Models):
    __tablename__ = "linked_label"

    id: Mapped[int] = mapped_column(primary_key=True)


class Part(Models):
    __tablename__ = "linked_part"

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int | None] = mapped_column(ForeignKey("linked_box.id"))
    box: Mapped[Box | None] = relationship(back_populates="parts")
    labels: Mapped[list[Label]] = relationship(secondary=labels)


class Note(Models):
    """Lives as long as it is on its box."""

    __tablename__ = "linked_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str] = mapped_column(default="")
    box_id: Mapped[int | None] = mapped_column(ForeignKey("linked_box.id"))


class Spare(Models):
    """Knows nothing of its box but the number."""

    __tablename__ = "linked_spare"

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int | None] = mapped_column(ForeignKey("linked_box.id"))


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session of jobs, and rows: two boxes, a part with a label, a spare part, another label."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        label = Label(id=1)
        session.add_all([Box(id=1), Box(id=2), Part(id=1, labels=[label]), Spare(id=1), label, Label(id=2)])
    with instance.database.session() as session:
        yield session


def put_in(session: Session, part: Any, box: Box) -> None:
    """Put a part into a box, from the part's side."""
    part.box = box


def add_to(session: Session, part: Any, box: Box) -> None:
    """Put it in, from the box's side."""
    (box.parts if isinstance(part, Part) else box.spares).append(part)


def add_to_new(session: Session, part: Any, box: Box) -> None:
    """Put it into a box that is new."""
    new = Box(id=3)
    session.add(new)
    add_to(session, part, new)


@pytest.mark.feature("N-13")
@pytest.mark.parametrize(
    ("kind", "act"), [(Part, put_in), (Part, add_to), (Part, add_to_new), (Spare, add_to), (Spare, add_to_new)]
)
@pytest.mark.parametrize("has_begun", [False, True])
def test_what_others_have_put_elsewhere_meanwhile_is_left_there(
    instance: Instance, session: Session, kind: Any, act: Callable[[Session, Any, Box], None], has_begun: bool
) -> None:
    part, box = session.get_one(kind, 1), session.get_one(Box, 1)
    assert (part.box_id, box.parts, box.spares) == (None, [], [])
    session.commit()
    instance.query(f"UPDATE {kind.__tablename__} SET box_id = 2")
    if has_begun:
        session.execute(text("SELECT 1"))
    act(session, part, box)
    with pytest.raises(ChangedMeanwhile, match="another session changed box_id of"):
        session.commit()
    session.rollback()
    assert instance.query(f"SELECT box_id FROM {kind.__tablename__}") == [(2,)]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("kind", [Part, Spare])
def test_what_others_have_moved_meanwhile_is_not_taken_out(
    instance: Instance, session: Session, kind: Any
) -> None:
    instance.query(f"UPDATE {kind.__tablename__} SET box_id = 1")
    box = session.get_one(Box, 1)
    parts: list[Any] = box.parts if kind is Part else box.spares
    (part,) = parts
    assert part.box_id == 1
    session.commit()
    instance.query(f"UPDATE {kind.__tablename__} SET box_id = 2")
    parts.remove(part)
    with pytest.raises(ChangedMeanwhile):
        session.commit()


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("act", [put_in, add_to])
def test_what_nobody_has_moved_is_moved_and_what_was_read_again_is_not_compared(
    instance: Instance, session: Session, act: Callable[[Session, Any, Box], None]
) -> None:
    part, box = session.get_one(Part, 1), session.get_one(Box, 1)
    session.commit()
    act(session, part, box)
    session.commit()
    assert instance.query("SELECT box_id FROM linked_part") == [(1,)]
    instance.query("UPDATE linked_part SET box_id = NULL")
    session.execute(text("SELECT 1"))
    assert part.box_id is None
    act(session, part, session.get_one(Box, 2))
    session.commit()
    assert instance.query("SELECT box_id FROM linked_part") == [(2,)]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("others", ["INSERT INTO part_label VALUES (1, 2)", "DELETE FROM part_label"])
def test_pairs_that_others_made_or_deleted_meanwhile_interrupt_the_job(
    instance: Instance, session: Session, others: str
) -> None:
    part, other = session.get_one(Part, 1), session.get_one(Label, 2)
    (label,) = part.labels
    session.commit()
    instance.query(others)
    if "INSERT" in others:
        part.labels.append(other)
    else:
        part.labels.remove(label)
    with pytest.raises(ChangedMeanwhile, match="another session changed labels of Part"):
        session.commit()
    session.rollback()
    part.labels = [other]
    session.commit()
    assert instance.query("SELECT part, label FROM part_label") == [(1, 2)]


@pytest.mark.feature("N-13")
def test_pairs_that_nobody_else_has_changed_are_written(instance: Instance, session: Session) -> None:
    part, other = session.get_one(Part, 1), session.get_one(Label, 2)
    assert len(part.labels) == 1
    session.commit()
    part.labels.append(other)
    session.commit()
    part.labels.remove(other)
    session.flush()
    part.labels.append(other)
    session.commit()
    assert instance.query("SELECT label FROM part_label ORDER BY label") == [(1,), (2,)]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("option", [selectinload(Part.labels.and_(Label.id == 1)), contains_eager(Part.labels)])
def test_a_collection_of_which_only_a_part_was_loaded_is_not_held_to_be_changed_by_others(
    instance: Instance, session: Session, option: Any
) -> None:
    instance.query("INSERT INTO part_label VALUES (1, 2)")
    instance.query("INSERT INTO linked_label VALUES (3)")
    query = select(Part).join(Part.labels).where(Label.id == 1).options(option)
    part, other = session.scalars(query).unique().one(), session.get_one(Label, 3)
    assert [label.id for label in part.labels] == [1]
    session.commit()
    part.labels.append(other)
    session.commit()
    del part.labels[0]
    session.commit()
    assert instance.query("SELECT label FROM part_label ORDER BY label") == [(2,), (3,)]


@pytest.mark.feature("N-13")
def test_a_pair_that_others_made_beside_the_job_s_stays(instance: Instance, session: Session) -> None:
    instance.query("INSERT INTO linked_label VALUES (3)")
    part, other = session.get_one(Part, 1), session.get_one(Label, 2)
    assert len(part.labels) == 1
    session.commit()
    instance.query("INSERT INTO part_label VALUES (1, 3)")
    part.labels.append(other)
    session.commit()
    assert instance.query("SELECT label FROM part_label ORDER BY label") == [(1,), (2,), (3,)]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("is_changed", [True, False])
def test_a_row_that_is_deleted_since_it_left_its_collection_must_be_as_it_was_read(
    instance: Instance, session: Session, is_changed: bool
) -> None:
    instance.query("INSERT INTO linked_note (id, words, box_id) VALUES (1, 'mine', 1)")
    box = session.get_one(Box, 1)
    assert [note.words for note in box.notes] == ["mine"]
    session.commit()
    if is_changed:
        instance.query("UPDATE linked_note SET words = 'theirs'")
    box.notes.clear()
    if is_changed:
        with pytest.raises(ChangedMeanwhile, match="another session changed words of Note"):
            session.commit()
        session.rollback()
    else:
        session.commit()
    assert instance.query("SELECT words FROM linked_note") == ([("theirs",)] if is_changed else [])
