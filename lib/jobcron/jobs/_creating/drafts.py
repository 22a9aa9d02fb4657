"""Draft many jobs at once, of which most differ in nothing but their target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy.orm import Session, object_session

from jobcron.database.sessions import AnySession, session_for
from jobcron.errors import InvalidJobData
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.draft import (
    Draft,
    check_target,
    draft,
    draft_without_target,
    left_idle,
    note_target,
    session_to_use,
    session_to_write,
)
from jobcron.jobs.family import target_name


def drafts_of(
    owner: type[JobClass], jobs: Iterable[object], session: AnySession | None, common: dict[str, object]
) -> tuple[Session, list[Draft]]:
    """Return the session in which jobs are created, and drafts of their rows; only flush the session.

    Args:
        owner: their class.
        jobs: for each job its target, or a dict of arguments for `create`.
        session: the caller's session; None: as for `create`.
        common: values for all of them.

    Raises:
        InvalidJobData: one of them does not fit; the message says which.
        NoSession: no session was found.
    """
    asked: list[tuple[object, dict[str, object] | None]] = []
    used = None if session is None else session_for(session)
    checked: set[type[object]] = set()
    for number, job in enumerate(jobs, 1):
        values = {**common, **job} if isinstance(job, Mapping) else None
        target = job if values is None else values.pop("target", None)
        if type(target) not in checked or object_session(target) is not used:
            try:
                used = session_to_use(used, target)
            except InvalidJobData as error:
                raise _of_job(number, error) from error
            if target is not None:
                checked.add(type(target))
        asked.append((target, values))
    used = session_to_use(used, None)
    with left_idle(used):
        session_to_write(used, None)
        common = {name: value for name, value in common.items() if name != "target"}
        return used, list(_drafts(owner, asked, common))


def _drafts(
    owner: type[JobClass], asked: list[tuple[object, dict[str, object] | None]], common: dict[str, object]
) -> Iterator[Draft]:
    """Return the drafts; a job without values of its own is like the first one of these."""
    like: Draft | None = None
    is_argument = owner.has_family and target_name(owner.context_class) in owner.declared().arguments
    for number, (target, values) in enumerate(asked, 1):
        try:
            if values is not None or target is None or is_argument:
                yield draft(owner, target, dict(common) if values is None else values)
            elif like is None:
                like = draft_without_target(owner, target, dict(common))
                yield _for_target(owner, like, target)
            else:
                check_target(owner, target, owner.declared())
                yield _for_target(owner, like, target)
        except InvalidJobData as error:
            raise _of_job(number, error) from error


def _for_target(owner: type[JobClass], like: Draft, target: object) -> Draft:
    made = Draft(dict(like.job), dict(like.family))
    if owner.has_family:
        made.family[target_name(owner.context_class)] = target
    note_target(owner, target, made.job)
    return made


def _of_job(number: int, error: InvalidJobData) -> InvalidJobData:
    return InvalidJobData(f"job {number}: {error}")
