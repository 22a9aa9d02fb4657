"""What `why` says of a job's history: its last move, the code that it waits for, and who was not told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

import fooapp
from instances import Instance
from jobcron import Database, load_settings
from jobcron.database.clock import database_after
from jobcron.database.tables import Mail
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.operations._obstacles.row import MOVES
from jobcron.operations.reasons import Cause, Explanation
from jobcron.operations.why import explain_job

NO_MOVES = [
    EventKind.STOPPING, EventKind.TAKEN_OVER, EventKind.CLEANED_UP, EventKind.NOT_CLEANED_UP,
    EventKind.LEASE_ENDED, EventKind.POSTPONED, EventKind.CHANGED, EventKind.NOT_TOLD,
    EventKind.MAIL_WAITS, EventKind.MAIL_SENT,
    EventKind.MAIL_GIVEN_UP, EventKind.TRIED,
]  # fmt: skip


@pytest.fixture
def job(instance: Instance) -> int:
    """Return a job of an instance whose section has run."""
    fooapp.register()
    instance.run("act")
    return instance.act()


def why(instance: Instance, job: int) -> Explanation:
    """Ask."""
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        return explain_job(connection, job, settings)


def note(instance: Instance, job: int, kind: EventKind, detail: str, token: int = 0) -> None:
    """Write an event to the job's history."""
    with instance.database.begin() as connection:
        record(connection, Claim(job, token), kind, detail)


def set_columns(instance: Instance, job: int, **values: Any) -> None:
    """Set columns of the job's row."""
    with instance.session() as session:
        for name, value in values.items():
            setattr(session.get_one(Job, job), name, value)


def test_who_cancelled_a_job_and_why_is_told_whatever_followed(instance: Instance, job: int) -> None:
    with instance.session() as session:
        session.get_one(Job, job).cancel()
    instance.query("UPDATE jobcron_event SET actor = 'root', detail = 'a wrong order'")
    for kind in NO_MOVES * 10:  # more than a page of the job shows
        note(instance, job, kind, "what a runner has to say")
    (told,) = [reason.text for reason in why(instance, job).reasons if reason.is_blocking]
    assert told.startswith("it was cancelled by root, ")
    assert told.endswith("(a wrong order)")


def test_every_kind_of_event_is_a_move_or_follows_one() -> None:
    moves = set(EventKind) - set(NO_MOVES) - {EventKind.GIVEN_BACK, EventKind.LEASE_LOST}
    assert moves == set(MOVES)


def test_what_code_a_due_job_waited_for_is_told_and_that_it_is_tried_again(instance: Instance, job: int) -> None:
    set_columns(instance, job, needs="dry_run")
    instance.run("act")
    set_columns(instance, job, scheduled_start=datetime.now(UTC) - timedelta(hours=1))
    note(instance, job, EventKind.POSTPONED, "to now")
    found = why(instance, job)
    (reason,) = found.reasons
    assert (reason.cause, reason.is_blocking, found.is_runnable) == (Cause.WAITS_FOR_CODE, False, True)
    assert "has what its row names: MissingCode: expected ActJob to have the argument dry_run" in reason.text
    assert reason.text.endswith("; the next run with such code runs it")


def test_mails_about_a_job_that_wait_are_told_with_their_next_try(instance: Instance, job: int) -> None:
    with instance.database.begin() as connection:
        for number, seconds in enumerate((600, 60)):
            row = {"job_id": job, "lease_token": 1, "message": b"x", "tries": 3 + number}
            connection.execute(insert(Mail).values(key=str(number), due=database_after(seconds), **row))
    found = why(instance, job)
    (reason,) = found.reasons
    assert (reason.cause, reason.is_blocking, found.is_runnable) == (Cause.NOT_TOLD, False, True)
    assert reason.text.startswith("2 mails about it could not be sent (tries: 4); the first run after ")
    assert reason.until is not None
    assert 0 < (reason.until - datetime.now(UTC)).total_seconds() <= 60


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_may_not_read_mails_is_told_by_the_history_that_one_waits(instance: Instance, job: int) -> None:
    note(instance, job, EventKind.MAIL_WAITS, "OSError: no such server")
    watcher = Database(instance.url, "foo_watcher")
    try:
        with watcher.begin(writing=False) as connection:
            (reason,) = explain_job(connection, job).reasons
            assert (reason.cause, reason.is_blocking) == (Cause.NOT_TOLD, False)
            assert reason.text.startswith("a mail about it could not be sent, ")
        note(instance, job, EventKind.MAIL_SENT, "at try 2")
        with watcher.begin(writing=False) as connection:
            assert explain_job(connection, job).reasons == ()
    finally:
        watcher.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [(EventKind.NOT_TOLD, "nobody was told of it, "), (EventKind.MAIL_GIVEN_UP, "a mail about it was given up, ")],
)
def test_that_nobody_was_told_of_the_last_attempt_is_said(
    instance: Instance, job: int, kind: EventKind, words: str
) -> None:
    note(instance, job, kind, "OSError: no such server", token=7)
    assert why(instance, job).reasons == (), "it was of an attempt of before"
    set_columns(instance, job, lease_token=7)
    (reason,) = why(instance, job).reasons
    assert (reason.cause, reason.is_blocking) == (Cause.NOT_TOLD, False)
    assert reason.text.startswith(words)
    assert reason.text.endswith(" UTC: OSError: no such server")


def test_a_run_whose_mail_server_refuses_leaves_a_job_of_which_why_tells_it(
    instance: Instance, job: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fooapp.ActJob, "getOopsRecipients", lambda self: ["boss@example.com"])
    path = instance.path / "jobcron.conf"
    path.write_text(re.sub("mail: .*", "mail: smtp://localhost:1", path.read_text()))
    set_columns(instance, job, json_data={"do": [["raise", "value"]], "tell": []})
    instance.run("act")
    causes = [reason.cause for reason in why(instance, job).reasons]
    assert causes == [Cause.FAILED, Cause.NOT_TOLD]
