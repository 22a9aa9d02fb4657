"""Write the jobs of a graph and their edges, in few statements and one transaction."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, cast

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from jobcron.database.sessions import AnySession, session_for, use_session
from jobcron.database.statements import among
from jobcron.database.tables import EdgeRow, jobs_connection
from jobcron.errors import InvalidJobData, NoSuchJob
from jobcron.interfaces import JobStatus
from jobcron.jobs._creating.bulk import insert_drafts
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.arguments.declared import TARGET
from jobcron.jobs.arguments.positional import too_many
from jobcron.jobs.draft import Draft, draft, left_idle, session_to_use, session_to_write
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.status import BLOCKED, COMPLETED, ENDED, WAITING


class HasRow(Protocol):
    """A job that exists."""

    @property
    def job(self) -> Job:
        """Its shared row."""


class _Creator(Protocol):
    """A job class, as it creates a job."""

    def create(self, *arguments: object, **values: object) -> HasRow:
        """Create a job."""


BASE_MODULE = "jobcron.jobs.source"
"""The module of the `create` that is inherited. Jobs of a class that has another one are created by that."""


class PlannedRow:
    """A job that does not exist yet.

    Args:
        owner: its class.
        arguments: what `create` is to get without a name: the target, or nothing; more if the class says so.
        values: what it is to get by names.
        session: the session in which it is to be created; None: that of the target, or the ambient one.

    Raises:
        InvalidJobData: there are too many values without names.
    """

    def __init__(
        self,
        owner: type[JobClass],
        arguments: tuple[object, ...],
        values: Mapping[str, object],
        session: AnySession | None = None,
    ) -> None:
        self.owner = owner
        self.arguments = arguments
        self.values = values
        self.session = session
        self.create = cast("_Creator", owner).create
        self.has_own_create = self.create.__module__ != BASE_MODULE
        if len(arguments) > 1 and not self.has_own_create:
            raise too_many(owner, "planned", arguments)

    def __str__(self) -> str:
        return self.owner.__name__

    @property
    def target(self) -> object:
        """What the job is about, or None; of a class with a `create` of its own, only that knows."""
        if self.has_own_create:
            return None
        return self.arguments[0] if self.arguments else self.values.get(TARGET)

    def draft(self, session: Session) -> Draft:
        """Return the values of the job's rows, in the transaction in which it is created."""
        values = {name: value for name, value in self.values.items() if name != TARGET}
        return draft(self.owner, self.target, values)


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Keep the garbage collector from walking over all rows again and again: a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Edge(NamedTuple):
    """An edge of a graph that is to be created.

    Attributes:
        predecessor: the place of the new job; or the negative number of one that exists.
        successor: the place of the new job that waits.
        any_end: whether any end of the predecessor suffices; else it must complete.
    """

    predecessor: int
    successor: int
    any_end: bool


def create_graph(rows: Sequence[PlannedRow], edges: Sequence[Edge], session: AnySession | None) -> list[int]:
    """Create jobs that wait for each other, in the caller's transaction; return their numbers.

    Args:
        rows: the jobs.
        edges: which waits for which.
        session: the caller's; None: that of the rows, or the ambient one.

    Raises:
        InvalidJobData: a job does not fit; the message says which. Nothing is written.
        DuplicateJob: a unique key is taken. Nothing is written, and the transaction can go on.
        NoSuchJob: a job that should exist does not.
        NoSession: no session was found.
    """
    with _collecting_nothing():
        return _created(rows, edges, session)


def _created(rows: Sequence[PlannedRow], edges: Sequence[Edge], session: AnySession | None) -> list[int]:
    used = _session_of(rows, session)
    with left_idle(used):
        session_to_write(used, None)
        drafts = [_draft(place, row, used) for place, row in enumerate(rows, 1)]
    with used.begin_nested():  # a key that is taken leaves none of it
        return _written(used, rows, drafts, edges)


def _written(
    session: Session, rows: Sequence[PlannedRow], drafts: Sequence[Draft | None], edges: Sequence[Edge]
) -> list[int]:
    """Write jobs and edges; return the jobs' numbers."""
    ends = _ends(session, sorted({-edge.predecessor for edge in edges if edge.predecessor < 0}))
    are_met = [_is_met(edge, ends) for edge in edges]
    blocked = {edge.successor for edge, is_met in zip(edges, are_met, strict=True) if not is_met}
    waited_for = {edge.predecessor for edge in edges}
    first: list[dict[str, object]] = [
        {"_status": BLOCKED if place in blocked else WAITING, "has_successors": place in waited_for}
        for place in range(len(rows))
    ]
    numbers = _inserted(session, rows, drafts, first)
    _insert_edges(session, numbers, edges, are_met)
    return numbers


def _insert_edges(
    session: Session, numbers: Sequence[int], edges: Sequence[Edge], are_met: Sequence[bool]
) -> None:
    found = [
        {
            "predecessor": numbers[edge.predecessor] if edge.predecessor >= 0 else -edge.predecessor,
            "successor": numbers[edge.successor],
            "any_end": edge.any_end,
            "is_met": is_met,
        }
        for edge, is_met in zip(edges, are_met, strict=True)
    ]
    if found:
        jobs_connection(session).execute(insert(EdgeRow), found)


def _session_of(rows: Sequence[PlannedRow], session: AnySession | None) -> Session:
    used = None if session is None else session_for(session)
    checked: set[int] = set()
    for place, row in enumerate(rows, 1):
        if row.session is None and (row.target is None or id(row.target) in checked):
            continue
        checked.add(id(row.target))
        try:
            used = session_to_use(used if used is not None else row.session, row.target)
        except InvalidJobData as error:
            raise _of_row(place, row, error) from error
    return session_to_use(used, None)


def _draft(place: int, row: PlannedRow, session: Session) -> Draft | None:
    """Return the draft of a job; None if its class creates it by itself."""
    try:
        return None if row.has_own_create else row.draft(session)
    except InvalidJobData as error:
        raise _of_row(place, row, error) from error


def _of_row(place: int, row: PlannedRow, error: InvalidJobData) -> InvalidJobData:
    return InvalidJobData(f"job {place} of the graph, {row}: {error}")


def _write_first(session: Session, row: PlannedRow, number: int, first: dict[str, object]) -> None:
    """Make a job wait, and note that others wait for it, that its class has created by itself.

    Raises:
        InvalidJobData: that is not a job that waits.
    """
    session.flush()
    job = session.get_one(Job, number)
    values = {getattr(Job, name): value for name, value in first.items()}
    changed = update(Job).where(Job.id == number, has_status(WAITING)).values(values)
    if jobs_connection(session).execute(changed).rowcount != 1:
        raise InvalidJobData(f"expected create of {row} to return a job that waits, got job {number}")
    session.refresh(job)


def _ends(session: Session, numbers: list[int]) -> dict[int, JobStatus]:
    """Return the statuses of jobs that exist, locked: whoever ends one from now on sees that others wait for it.

    Raises:
        NoSuchJob: one of them does not exist.
    """
    if not numbers:
        return {}
    connection = jobs_connection(session)
    found = select(Job.id, Job._status).where(among(Job.id, numbers)).order_by(Job.id)
    ends: dict[int, JobStatus] = {
        row.id: row[1] for row in connection.execute(found.with_for_update(key_share=True))
    }
    for number in numbers:
        if number not in ends:
            raise NoSuchJob(f"expected a job with the number {number}, for which others are to wait, found none")
    is_new = (among(Job.id, numbers), ~Job.has_successors)
    connection.execute(update(Job).where(*is_new).values(has_successors=True))
    return ends


def _is_met(edge: Edge, ends: Mapping[int, JobStatus]) -> bool:
    status = ends.get(-edge.predecessor)
    return status is COMPLETED or (edge.any_end and status in ENDED)


def _inserted(
    session: Session,
    rows: Sequence[PlannedRow],
    drafts: Sequence[Draft | None],
    first: Sequence[dict[str, object]],
) -> list[int]:
    """Insert the rows of the jobs, those of a class at once; return their numbers in the order of `rows`."""
    numbers: dict[int, int] = {}
    by_owner: defaultdict[type[JobClass], list[int]] = defaultdict(list)
    for place, (row, made) in enumerate(zip(rows, drafts, strict=True)):
        if made is None:
            with use_session(session):
                numbers[place] = row.create(*row.arguments, **row.values).job.id
            _write_first(session, row, numbers[place], first[place])
        else:
            made.job.update(first[place])
            by_owner[row.owner].append(place)
    for owner, places in by_owner.items():
        of_owner = [made for place in places if (made := drafts[place]) is not None]
        numbers.update(zip(places, insert_drafts(session, owner, of_owner), strict=True))
    return [numbers[place] for place in range(len(rows))]
