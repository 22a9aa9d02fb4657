"""The lease of a section is renewed beside its jobs, and a run that loses it knows (LP-32)."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import cast

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from hosts import row_of
from instances import Instance, wait_until
from jobcron import Database, LockHeld
from jobcron.database.statements import execute
from jobcron.jobs.lease import SectionLease
from jobcron.scripts.locks.renewal import renewed

logger = logging.getLogger("test")


def taken(instance: Instance, seconds: float, *, ago: float = 0.0) -> SectionLease:
    """Take the lock of [act], as a run does that sent its statement some time ago."""
    parameters = {"section": "act", "place": "here", "holder": "here:1/ab", "gone": "", "insists": 0}
    with instance.database.begin() as connection:
        row = execute(connection, "lock_take", {**parameters, "lease_seconds": seconds - ago}).one()
    return SectionLease("act", row.token, seconds, SectionLease.clock() - ago)


def take_away(instance: Instance) -> None:
    instance.query("UPDATE jobcron_lock SET token = token + 1")


def test_a_lease_that_is_due_is_renewed_before_the_block_begins(instance: Instance) -> None:
    lease = taken(instance, 60, ago=55)  # its application took long to import
    assert lease.is_lost
    before = row_of(instance).lease_expires
    with renewed(instance.database, lease, logger):
        assert not lease.is_lost
        assert row_of(instance).lease_expires > before


def loses_it(
    instance: Instance, database: Database, lease: SectionLease, *, fails: bool = False, seconds: float = 0.0
) -> None:
    """Be a run that loses its lease, goes on for a while, and perhaps fails then."""
    with renewed(database, lease, logger):
        if database is instance.database:
            take_away(instance)
        wait_until(lambda: lease.is_lost, "the lease to be lost", 60)
        time.sleep(seconds)
        if fails:
            raise ValueError("of the job")


def test_a_block_whose_lease_another_run_has_taken_ends_with_an_error(instance: Instance) -> None:
    with pytest.raises(LockHeld, match="the run has lost the lock of section act"):
        loses_it(instance, instance.database, taken(instance, 3))


def test_an_error_in_the_block_is_not_hidden_by_the_lost_lease(instance: Instance) -> None:
    with pytest.raises(ValueError, match="of the job"):
        loses_it(instance, instance.database, taken(instance, 3), fails=True)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_cannot_be_reached_ends_the_lease_before_its_time(instance: Instance) -> None:
    began = SectionLease.clock()
    lease = taken(instance, 6)
    nowhere = Database("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with closing(nowhere), pytest.raises(LockHeld):
        loses_it(instance, nowhere, lease)
    assert SectionLease.clock() - began >= 3.9  # two seconds before its end


def test_after_a_long_job_on_sqlite_the_lease_is_renewed_and_elsewhere_it_is_over(instance: Instance) -> None:
    is_remote = instance.database.dialect == "postgresql"
    row = taken(instance, 3, ago=4)
    lease = SectionLease("act", row.token, 3, SectionLease.clock() - 4, is_remote=is_remote)
    with instance.database.begin() as connection:
        assert [lease.hold(connection), lease.hold(connection)] == [not is_remote] * 2
    assert lease.is_lost is is_remote


def test_a_renewal_that_is_not_committed_does_not_count(instance: Instance) -> None:
    lease = taken(instance, 60, ago=55)
    with instance.database.engine.connect() as connection:
        assert lease.renew(connection)
        assert lease.hold(connection)
    assert lease.is_lost


def test_after_the_lease_was_taken_it_is_renewed_no_more(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals: list[bool] = []
    renew = SectionLease.renew

    def counted(lease: SectionLease, connection: Connection) -> bool:
        renewals.append(renew(lease, connection))
        return renewals[-1]

    monkeypatch.setattr(SectionLease, "renew", counted)
    lease = taken(instance, 3)
    with pytest.raises(LockHeld):
        loses_it(instance, instance.database, lease, seconds=1.5)
    assert renewals == [False]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_claims_do_not_keep_the_lease_from_being_renewed(instance: Instance) -> None:
    lease = taken(instance, 60)
    with instance.database.begin() as claiming, instance.database.engine.begin() as renewing:
        assert lease.hold(claiming)
        renewing.execute(text("SET LOCAL lock_timeout = '200ms'"))
        assert lease.renew(renewing)


def test_a_lease_that_was_taken_away_is_lost_for_whoever_takes_jobs(instance: Instance) -> None:
    lease = taken(instance, 60)
    take_away(instance)
    with instance.database.begin() as connection:
        assert not lease.hold(connection)
    assert lease.is_lost


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nobody_takes_the_lock_while_jobs_are_being_claimed(instance: Instance) -> None:
    lease = taken(instance, 3600)
    with instance.database.begin() as connection:
        assert lease.hold(connection)
        with instance.database.engine.connect() as other:
            other.execute(text("SET LOCAL lock_timeout = '200ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                other.execute(text("UPDATE jobcron_lock SET token = token + 1"))


def test_no_lease_is_renewed_where_none_is_needed(instance: Instance) -> None:
    with renewed(cast("Database", None), None, logger):
        time.sleep(0)
