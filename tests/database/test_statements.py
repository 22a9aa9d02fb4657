"""Statements have a bounded time: what stands still elsewhere is not waited for for ever."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select, text

from instances import Instance
from jobcron import Job, JobStatus
from jobcron.database.sql import statement_names
from jobcron.database.statements import among, read_statements
from jobcron.jobs.lease import Claim
from jobcron.queue.finish import settled
from query_cost import cost_of, noted_statements

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


def test_jobs_are_looked_up_by_one_text_however_many_there_are(instance: Instance) -> None:
    jobs = [instance.act(unique_key=f"k'{{}}{number}") for number in range(3)]
    columns = ((Job.id, [*jobs, 2**40]), (Job.unique_key, ["k'{}1", "k'{}2", "none"]))
    for column, values in columns:
        with noted_statements() as noted, instance.session() as session:
            found = [
                list(session.scalars(select(column).where(among(column, values[:count])).order_by(Job.id)))
                for count in range(4)
            ]
        there = [value for value in values[:3] if value != "none"]
        assert found == [[], there[:1], there[:2], there[:3]]
        assert len({sent for sent, _ in noted}) == 1


def test_a_number_is_looked_up_by_the_primary_key(instance: Instance) -> None:
    job = instance.act()
    costs = []
    for more in (1, 5000):
        instance.multiply(job, more, json_data="'{}'")
        instance.query("ANALYZE")
        with noted_statements() as noted, instance.session() as session:
            assert len(session.scalars(select(Job).where(among(Job.id, [job, job + 1]))).all()) == 2
        costs.append(cost_of(instance, *noted[-1]))
    assert costs[1] <= costs[0] + 1500, costs
