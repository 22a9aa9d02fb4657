"""Counting the ready jobs of a source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import fooapp
from instances import Instance
from jobcron import Job
from jobcron.queue.ready_count import count_ready
from metrics_files import Metrics

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.feature("LP-33")
def test_what_a_run_leaves_is_counted(metrics: Metrics) -> None:
    metrics.configure(section="max_runtime: 0.001s")
    for priority in (5, 10, 10, 20):
        metrics.instance.act(("sleep", 0.1), priority=priority)
    metrics.instance.act(scheduled_start=datetime.now(UTC) + timedelta(days=1))
    metrics.instance.act(expires_at=datetime.now(UTC) - timedelta(days=1))
    with metrics.instance.session() as session:
        fooapp.DoFooJob.create(metrics.instance.foo(session), session=session)  # of another section
        for row in session.query(Job).where(Job.priority == 20):
            row.date_created = row.scheduled_start = datetime.now(UTC) - timedelta(seconds=500)
    metrics.instance.run("act")
    assert metrics.value("jobcron_ready_jobs") == 3
    oldest = metrics.value("jobcron_oldest_ready_seconds")
    assert oldest is not None
    assert 500 <= oldest < 560


@on_postgresql
def test_no_machine_code_is_compiled_for_a_count_and_for_later_transactions_it_is(instance: Instance) -> None:
    for expected in ("off", "on"):
        with instance.database.begin() as connection:
            if expected == "off":
                count_ready(connection, "fooapp.IActJobSource")
            assert connection.exec_driver_sql("SHOW jit").scalar() == expected


@pytest.mark.feature("LP-33")
@on_sqlite
def test_the_ready_jobs_of_a_source_written_by_hand_are_those_that_it_has_handed_out(metrics: Metrics) -> None:
    metrics.instance.configure(f"metrics_dir: {metrics.folder}")
    with metrics.instance.session() as session:
        from jobcron.testing import use_session

        with use_session(session):
            fooapp.handmade_source.create(metrics.instance.foo(session))
    metrics.instance.run("handmade")
    text = (metrics.folder / "jobcron_handmade.prom").read_text()
    assert 'jobcron_jobs_ended_total{section="handmade",job_class="HandmadeJob",outcome="completed"} 1\n' in text
    assert 'jobcron_ready_jobs{section="handmade"} 0\n' in text
