"""Many jobs at once have the values that one job gets: of all types, in their order, by whatever way they go."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, ForeignKey, LargeBinary, Numeric, Uuid, event
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from instances import Instance
from jobcron import BaseRunnableJob, DuplicateJob, FamilyRow, Job, JobType, job_type_column
from query_cost import noted_statements


class ManyType(JobType):
    """Types of jobs for these tests."""

    TYPED = 0
    LISTED = 1
    LOOSE = 2


class Base(DeclarativeBase):
    """The metadata of these tests."""


class Box(Base):
    """What jobs are about."""

    __tablename__ = "many_box"

    id: Mapped[int] = mapped_column(primary_key=True)


class TypedRow(FamilyRow, Base):
    """A family with columns of many types."""

    __tablename__ = "many_typed"

    job_type: Mapped[ManyType] = job_type_column(ManyType)
    box_id: Mapped[int] = mapped_column(ForeignKey("many_box.id"))
    box: Mapped[Box] = relationship()
    words: Mapped[str | None] = mapped_column("odd name")
    number: Mapped[int] = mapped_column(default=7)
    ratio: Mapped[float | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    is_on: Mapped[bool | None]
    at: Mapped[datetime | None]
    on: Mapped[date | None]
    hour: Mapped[time | None]
    tree: Mapped[Any] = mapped_column(JSON, nullable=True)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    key: Mapped[UUID | None] = mapped_column(Uuid)
    of_server: Mapped[str] = mapped_column(server_default="server's")


class ListedRow(FamilyRow, Base):
    """A family with a column whose values are lists on PostgreSQL."""

    __tablename__ = "many_listed"

    job_type: Mapped[ManyType] = job_type_column(ManyType)
    box_id: Mapped[int] = mapped_column(ForeignKey("many_box.id"))
    box: Mapped[Box] = relationship()
    names: Mapped[Any] = mapped_column(JSON().with_variant(ARRAY(item_type=JSON), "postgresql"), nullable=True)


class Typed(BaseRunnableJob[TypedRow]):
    """A job of the family with many types."""

    class_job_type = ManyType.TYPED

    def run(self) -> None:
        """Do nothing."""


class Listed(BaseRunnableJob[ListedRow]):
    """A job of the family with lists."""

    class_job_type = ManyType.LISTED

    def run(self) -> None:
        """Do nothing."""


class Loose(BaseRunnableJob):
    """A job without a family."""

    class_job_type = ManyType.LOOSE
    target: Box | None
    words: str = ""
    tree: dict[str, Any] | None = None

    def run(self) -> None:
        """Do nothing."""


ODD = ["", "NULL", "\\N", "a\tb\nc\\d", "{a,b}", '"quoted"', "it's", "%s %(x)s :x", "ünïcode 😀", " "]

FAMILY: list[dict[str, Any]] = [
    {"words": word, "tree": {"word": [word, None, 1.5, {word: True}]}, "raw": word.encode() + b"\0\xff"}
    for word in ODD
] + [
    {},
    {"ratio": 0.1, "price": Decimal("1.1000"), "is_on": True, "number": 1},
    {"ratio": 1e300, "price": Decimal("-0.5"), "is_on": False, "number": 0},
    {"ratio": -0.0, "number": -(2**31)},
    {"at": datetime(2026, 1, 2, 3, 4, 5, 6), "on": date(1, 1, 1), "hour": time(23, 59, 59, 1)},
    {"key": UUID(int=5), "of_server": "mine", "words": None, "tree": []},
]

SHARED: list[dict[str, Any]] = [
    {},
    {"priority": -3},
    {"max_retries": None, "requester": "me"},
    {"max_retries": 4, "description": "d\td"},
    {"scheduled_start": datetime(2030, 1, 1, tzinfo=UTC), "expires_at": datetime(2031, 1, 1, tzinfo=UTC)},
    {"metadata": {"a": 1, "b": [True, 1, 1.0, "\\"]}},
    {"metadata": {"a": True, "b": [1, True, 1, "\\"]}},
    {"channel": "root.x", "channel_key": "k"},
    {"queue_name": "other"},
]


@pytest.fixture
def boxes(session: Session) -> list[Box]:
    """Return boxes, in the session."""
    Base.metadata.create_all(session.connection())
    made = [Box() for _ in range(4)]
    session.add_all(made)
    session.flush()
    return made


def values_of(session: Session, job: Any) -> dict[str, Any]:
    """Return what a job's rows hold in the database, apart from what is a job's own."""
    own = {"id", "uuid", "date_created", "job"}
    found = {}
    for row in dict.fromkeys((job.job, job.context)):
        session.refresh(row)
        for attribute in row.__mapper__.column_attrs:
            value = getattr(row, attribute.key)
            if attribute.key == "scheduled_start" and abs(value - job.date_created) < timedelta(minutes=1):
                value = "now"
            if attribute.key not in own:
                found[f"{type(row).__name__}.{attribute.key}"] = (type(value), repr(value))
    return found


@pytest.mark.feature("LP-34")
@pytest.mark.parametrize("is_heard", [False, True])
@pytest.mark.parametrize("kind", ["family", "list", "shared", "loose"])
def test_many_jobs_have_the_values_of_one(session: Session, boxes: list[Box], kind: str, is_heard: bool) -> None:
    if is_heard:
        event.listen(session, "after_flush", lambda *arguments: None)
    ways: dict[str, tuple[Any, list[dict[str, Any]]]] = {
        "family": (Typed, FAMILY),
        "list": (Listed, [{"names": [word, None]} for word in ODD] + [{"names": None}]),
        "shared": (Typed, SHARED),
        "loose": (Loose, [{**values, "words": word} for values, word in zip(SHARED, ODD, strict=False)]),
    }
    job_class, asked = ways[kind]
    jobs: list[Any] = [
        {"target": boxes[number % 4], **values} for number, values in enumerate([*asked, *reversed(asked)])
    ]
    one = [values_of(session, job_class.create(**values)) for values in jobs]
    numbers = job_class.createMultiple(jobs)
    assert len(set(numbers)) == len(jobs)
    many = [values_of(session, job_class.get(number)) for number in numbers]
    assert many == one
    uuids = {job_class.get(number).job.uuid for number in numbers}
    assert len(uuids) == len(jobs)


@pytest.mark.feature("LP-34")
@pytest.mark.parametrize("job_class", [Typed, Loose])
def test_targets_alone_get_the_values_that_are_common(session: Session, boxes: list[Box], job_class: Any) -> None:
    common = {"priority": 4, "metadata": {"x": 1}, "words": "all"}
    one = [values_of(session, job_class.create(box, **common)) for box in boxes]
    mixed = [boxes[0], {"target": boxes[1]}, *boxes[2:]]
    many = [job_class.get(number) for number in job_class.createMultiple(mixed, **common)]
    assert [job.target for job in many] == boxes
    assert [values_of(session, job) for job in many] == one


@pytest.mark.feature("LP-34")
def test_rows_for_several_statements_keep_their_order(
    session: Session, boxes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.jobs._creating.arrays.ROWS", 7)
    jobs: list[Any] = [
        {"target": boxes[number % 3], "words": f"{number}", **({"priority": number} if number % 2 else {})}
        for number in range(60)
    ]
    numbers = Typed.createMultiple(jobs)
    assert [Typed.get(number).context.words for number in numbers] == [str(number) for number in range(60)]
    with pytest.raises(DuplicateJob, match="k2"):
        Typed.createMultiple([{**job, "unique_key": f"k{place % 50 + 2}"} for place, job in enumerate(jobs)])
    assert session.query(Job).count() == 60
    keyed = Typed.createMultiple([{**job, "unique_key": f"k{place}"} for place, job in enumerate(jobs)])
    assert [Typed.get(number).job.unique_key for number in keyed] == [f"k{place}" for place in range(60)]


@pytest.mark.feature("LP-34")
def test_ten_thousand_are_a_few_statements(instance: Instance) -> None:
    Base.metadata.create_all(instance.database.engine)
    with instance.session() as session:
        box = Box()
        session.add(box)
        session.flush()
        Typed.create(box)  # its type is known from here on
        with noted_statements() as noted:
            Typed.createMultiple([box] * 10_000)
    assert len(noted) <= (5 if instance.database.dialect == "postgresql" else 60), len(noted)
