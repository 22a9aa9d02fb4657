"""The offers that nobody has received yet: a row for each, for people who ask why a job waits.

Nothing but what is told depends on them. A row is written in the transaction that creates the job. It goes when
the number arrives or, on PostgreSQL, could not be handed over; at the latest when a run looks around
after the job has ended, which withdraws the offer too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKey, Text, column, delete, func, select, table
from sqlalchemy.orm import Mapped, mapped_column

from jobcron.database.clock import UtcDateTime, age_in_seconds, database_now
from jobcron.database.database import TransactionSource
from jobcron.database.statements import insert_into
from jobcron.database.tables import Base, BigId
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.interfaces import JobStatus

AT_ONCE = 10_000
"""How many rows one statement writes: PostgreSQL takes 65,535 parameters."""

MAX_COUNTED = 10_000
"""The most offers that are counted."""


class OfferRow(Base):
    """An offer of a job to a dispatcher."""

    __tablename__ = "jobcron_offer"

    job_id: Mapped[int] = mapped_column(
        "job", BigId, ForeignKey("jobcron_job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    section: Mapped[str] = mapped_column(Text)
    dispatcher: Mapped[str] = mapped_column(Text)
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)


_JOB = table("jobcron_job", column("id"), column("status"))
"""What offers need of the shared row, whose class lies above this room."""

_ENDED = [
    int(status) for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)
]


class Offer(NamedTuple):
    """An offer that nobody has received.

    Attributes:
        section: the section.
        dispatcher: to whom it was offered, as the key ``dispatch`` names it.
        seconds: how long ago.
    """

    section: str
    dispatcher: str
    seconds: float


class Untaken(NamedTuple):
    """The offers of a section whose jobs still wait.

    Attributes:
        section: the section.
        dispatcher: to whom they were offered.
        number: how many they are.
        seconds: the age of the oldest.
    """

    section: str
    dispatcher: str
    number: int
    seconds: float


def note_offers(connection: Connection, job_ids: Sequence[int], section: str, dispatcher: str) -> None:
    """Write that jobs are offered, in the transaction whose commit lets them be offered."""
    for start in range(0, len(job_ids), AT_ONCE):
        rows = [
            {"job": job_id, "section": section, "dispatcher": dispatcher}
            for job_id in job_ids[start : start + AT_ONCE]
        ]
        statement = insert_into(OfferRow, connection)
        again = {name: statement.excluded[name] for name in ("section", "dispatcher", "offered_at")}
        statement = statement.values(offered_at=database_now())
        connection.execute(statement.on_conflict_do_update(index_elements=["job"], set_=again), rows)


def forget_offers(connection: Connection, job_ids: Sequence[int]) -> None:
    """Remove the rows of offers that have arrived, or have not left."""
    for start in range(0, len(job_ids), AT_ONCE):
        connection.execute(delete(OfferRow).where(OfferRow.job_id.in_(job_ids[start : start + AT_ONCE])))


def forget_ended(database: TransactionSource, dispatchers: Dispatchers) -> None:
    """Withdraw the offers of jobs that have ended, and remove their rows: cron runs some before they arrive.

    Args:
        database: the database.
        dispatchers: the instance's; numbers that another dispatcher got, under an older configuration, stay there.
    """
    columns = (OfferRow.job_id, OfferRow.section, OfferRow.dispatcher)
    ended = select(*columns).join(_JOB, _JOB.c.id == OfferRow.job_id).where(_JOB.c.status.in_(_ENDED))
    with database.begin(writing=False) as connection:
        found = connection.execute(ended.limit(AT_ONCE)).all()
    if not found:
        return
    with database.begin() as connection:
        forget_offers(connection, [job_id for job_id, _, _ in found])
    by_dispatcher: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for job_id, section, name in found:
        by_dispatcher[section, name].append(job_id)
    for (section, name), job_ids in by_dispatcher.items():
        dispatcher = dispatchers.of_section(section)
        if dispatcher is not None and dispatcher.name == name:
            dispatcher.withdraw(job_ids)


def offer_of(connection: Connection, job_id: int) -> Offer | None:
    """Return the offer of a job that nobody has received yet; None: there is none."""
    columns = (OfferRow.section, OfferRow.dispatcher, age_in_seconds(OfferRow.offered_at))
    row = connection.execute(select(*columns).where(OfferRow.job_id == job_id)).first()
    return None if row is None else Offer(*row)


def untaken(connection: Connection, older_than: float = 0.0) -> list[Untaken]:
    """Return the offers whose jobs still wait, by section; at most `MAX_COUNTED` are counted.

    Args:
        connection: a connection; it is only read.
        older_than: only offers that are so many seconds old.
    """
    age = age_in_seconds(OfferRow.offered_at)
    waiting = (
        select(OfferRow.section, OfferRow.dispatcher, age.label("age"))
        .join(_JOB, _JOB.c.id == OfferRow.job_id)
        .where(_JOB.c.status == 0, age >= older_than)
        .limit(MAX_COUNTED)
        .subquery()
    )
    by = (waiting.c.section, waiting.c.dispatcher)
    found = select(*by, func.count(), func.max(waiting.c.age)).group_by(*by).order_by(*by)
    return [Untaken(*row) for row in connection.execute(found)]
