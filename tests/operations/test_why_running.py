"""What `why` says of leases, and of runs that did not find the database."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import fooapp
from instances import Instance
from jobcron import Job, load_settings
from jobcron.database.clock import database_now
from jobcron.database.tables import Renewal
from jobcron.interfaces import DEFAULT_LEASE_SECONDS
from jobcron.operations.reasons import Cause, Reason
from jobcron.operations.why import explain_job
from jobcron.queue.claim import Claimant, claim_one

LEASE = timedelta(seconds=DEFAULT_LEASE_SECONDS)


@pytest.fixture
def job(instance: Instance) -> int:
    """Return a job of an instance whose section has run."""
    fooapp.register()
    instance.run("act")
    return instance.act()


def first_reason(instance: Instance, job: int) -> Reason:
    """Return the first reason of a job."""
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        return explain_job(connection, job, settings).reasons[0]


def claimed(instance: Instance, job: int, ago: timedelta) -> int:
    """Claim a job as a run so long ago would have; return its token."""
    with instance.session() as session:
        (claim,) = claim_one(session.connection(), job, Claimant("elsewhere:1", DEFAULT_LEASE_SECONDS))
        session.flush()
        row = session.get_one(Job, job)
        assert row.date_started is not None
        assert row.lease_expires is not None
        row.date_started -= ago
        row.lease_expires -= ago
        return claim.token


def seconds_ago(text: str, word: str) -> int:
    """Return the number in "renewed 2 min 40 s ago", in seconds."""
    found = re.search(rf"{word} (?:(\d+) min )?(\d+) s ago$", text)
    assert found, text
    return int(found[1] or 0) * 60 + int(found[2])


def test_a_lease_that_was_not_renewed_yet_says_when_it_was_given(instance: Instance, job: int) -> None:
    claimed(instance, job, timedelta(seconds=70))
    reason = first_reason(instance, job)
    assert reason.cause is Cause.RUNNING
    assert 70 <= seconds_ago(reason.text, "given") < 130


def test_a_lease_that_its_keeper_renews_in_a_row_of_its_own_says_when_it_did(instance: Instance, job: int) -> None:
    token = claimed(instance, job, timedelta(seconds=200))
    with instance.session() as session:
        now = session.scalar(select(database_now()))
        assert now is not None
        end = now + LEASE - timedelta(seconds=40)
        session.add(Renewal(job_id=job, lease_token=token, lease_expires=end))
    reason = first_reason(instance, job)
    assert (reason.cause, reason.until) == (Cause.RUNNING, end)
    assert 40 <= seconds_ago(reason.text, "renewed") < 100


def test_a_lease_that_a_checkpoint_renews_on_the_jobs_row_says_so_too(instance: Instance, job: int) -> None:
    claimed(instance, job, timedelta(seconds=200))
    with instance.session() as session:
        row = session.get_one(Job, job)
        assert row.lease_expires is not None
        row.lease_expires += timedelta(seconds=150)
    assert 50 <= seconds_ago(first_reason(instance, job).text, "renewed") < 110


def test_runs_that_did_not_find_the_database_are_counted_until_one_finds_it(instance: Instance, job: int) -> None:
    away = {"JOBCRON_DATABASE_URL": f"sqlite:///{instance.path}/gone/foo.db"}
    for _ in range(3):
        instance.command("run", "act", expect=1, extra_env=away)
    reason = first_reason(instance, job)
    assert (reason.cause, reason.is_blocking) == (Cause.OUTAGE, False)
    assert reason.text.startswith("the last 3 runs of section act on this host did not find the database, since ")
    assert "cannot connect to the database" in reason.text
    instance.command("run", "act")
    assert first_reason(instance, job).cause is Cause.COMPLETED
    instance.command("run", "act", expect=1, extra_env=away)
    assert first_reason(instance, instance.act()).text.startswith("the last run of section act ")


def test_a_record_of_an_outage_that_an_older_release_wrote_is_read(instance: Instance, job: int) -> None:
    path = Path(load_settings(str(instance.path)).outage_file("act"))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("first line\nconnection refused")
    path.chmod(0o600)
    reason = first_reason(instance, job)
    assert reason.text.startswith("the last run of section act ")
    assert reason.text.endswith(": first line\nconnection refused")
    instance.command("run", "act", expect=1, extra_env={"JOBCRON_DATABASE_URL": "sqlite:////gone/foo.db"})
    assert first_reason(instance, job).text.startswith("the last 2 runs of section act ")
