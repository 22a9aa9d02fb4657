"""Statements have a bounded time: what stands still elsewhere is not waited for for ever."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from instances import Instance
from jobcron import JobStatus
from jobcron.database.sql import statement_names
from jobcron.database.statements import read_statements
from jobcron.jobs.lease import Claim
from jobcron.queue.finish import settled

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_postgresql
def test_what_a_dead_process_has_left_at_work_is_not_waited_for_for_ever(instance: Instance) -> None:
    job = instance.act()
    past = "SELECT id FROM jobcron_job WHERE id = :id FOR UPDATE"
    instance.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, attempt_count = 1, date_started = now(), "
        "lease_expires = now() + interval '1 hour' WHERE id = :id",
        id=job,
    )
    with instance.database.engine.begin() as connection:
        connection.execute(text(past), {"id": job})
        begun = time.monotonic()
        assert settled(instance.database, Claim(job, 1)) is None
        assert time.monotonic() - begun < 15
    assert settled(instance.database, Claim(job, 1)) is JobStatus.RUNNING


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_all_statements_of_a_database_can_be_read_ahead(dialect: str) -> None:
    read_statements(dialect)  # some statements are for one of the databases only
    assert {"claim", "complete", "set_aside"} <= statement_names(dialect)
