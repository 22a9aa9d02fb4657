"""The kinds of events, and that they can be told from the code."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

import jobcron
from instances import Instance
from jobcron import JobStatus
from jobcron.database.tables import Event
from jobcron.jobs.history import NOT_WRITTEN, EventKind, moved_by_hand, record
from jobcron.jobs.lease import Claim
from jobcron.testing import JobFactory

PACKAGE = Path(jobcron.__file__).parent

WORDS_IN_ROWS = {
    "completed", "failed", "user error", "retry", "suspended", "cancelled", "interrupted", "stopping",
    "superseded", "taken over", "expired", "requeued", "resumed", "postponed", "changed", "lease ended",
    "waits for code", "undone", "tried", "cleaned up", "not cleaned up",
    "not told", "mail waits", "mail sent", "mail given up", "slow lane",
}  # fmt: skip
"""What histories hold: what was written before the kinds were an enum, and since."""


def test_histories_that_were_written_before_keep_their_meaning() -> None:
    assert {kind.value for kind in EventKind if kind not in NOT_WRITTEN} == WORDS_IN_ROWS


def test_every_kind_of_event_is_written_somewhere() -> None:
    texts = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "history.py"]
    assert [kind.name for kind in EventKind if not any(f"EventKind.{kind.name}" in text for text in texts)] == []


def test_a_row_holds_the_word_of_its_kind(instance: Instance) -> None:
    job = instance.act()
    with instance.database.begin() as connection:
        record(connection, Claim(job, 0), EventKind.TAKEN_OVER, "in words")
    assert instance.events(job) == ["taken over"]


def test_what_people_do_is_in_the_jobs_history(session: Session) -> None:
    factory = JobFactory(session)
    waiting = [factory.makeJob() for _ in range(3)]
    running = factory.makeJob(JobStatus.RUNNING)
    waiting[0].suspend()
    waiting[1].cancel()
    waiting[2].complete()
    running.fail()
    found = {}
    for event in session.scalars(select(Event)):
        found[event.job_id] = (event.kind, event.detail, "@" in event.actor)
    assert [found[job.id] for job in (*waiting, running)] == [
        ("suspended", "was Waiting", True),
        ("cancelled", "was Waiting", True),
        ("completed", "was Waiting", True),
        ("failed", "was Running", True),
    ]


def test_who_moved_a_job_while_it_ran_is_known_by_the_attempts_token(instance: Instance) -> None:
    job, other = instance.act(), instance.act()
    ours, later = Claim(job, 4), Claim(job, 5)
    with instance.database.begin() as connection:
        record(connection, ours, EventKind.TAKEN_OVER, "in words")
        record(connection, ours, EventKind.CHANGED, "priority 10", actor="ada@home")
        record(connection, Claim(other, 4), EventKind.CANCELLED, "was Running", actor="eve@home")
        assert moved_by_hand(connection, ours) is None
        record(connection, ours, EventKind.CANCELLED, "was Running; too slow; twice", actor="ada@home")
        record(connection, later, EventKind.FAILED, "by itself")
        assert moved_by_hand(connection, ours) == "cancelled by ada@home (too slow; twice)"
        assert moved_by_hand(connection, later) is None
        record(connection, later, EventKind.COMPLETED, "was Running", actor="bob@home")
        assert moved_by_hand(connection, later) == "completed by bob@home"
