"""What a job sees of the jobs that it has waited for: their results, and how they ended."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from fooapp import ActJob, DoFooJob, Foo
from instances import Instance
from jobcron import InvalidJobData, Job, JobStatus, chain, group

app: Any = typed_app


@pytest.mark.feature("OCQ-11")
def test_a_job_reads_the_results_of_its_predecessors(calling: Instance) -> None:
    with calling.session() as session:
        last = app.count_ends.planned()
        made = group(app.export.planned("a", 1), app.export.planned("b", 2)).on_done(last).create(session=session)
    calling.run("functions")
    assert calling.row(made[last]).result == "2 COMPLETED: exported a 1, exported b 2"


@pytest.mark.feature("OCQ-11")
def test_a_callback_runs_when_all_of_a_batch_has_ended_and_gets_the_counts(calling: Instance) -> None:
    with calling.session() as session:
        last = app.count_ends.planned()
        batch = group(
            app.export.planned("a"), app.troubled.planned("value"), app.troubled.planned("failed"),
            app.undocumented.planned(),
        )  # fmt: skip
        made = batch.on_end(last).create(session=session)
        cancelled = made.jobs[0]
        session.get_one(Job, cancelled).cancel()
    calling.run("functions")
    assert calling.row(made[last]).status is JobStatus.COMPLETED
    counts = str(calling.row(made[last]).result).partition(":")[0]
    assert counts == "1 COMPLETED, 2 FAILED, 1 CANCELLED"


@pytest.mark.feature("OCQ-11")
def test_a_callback_of_a_chain_waits_for_all_its_jobs(calling: Instance) -> None:
    with calling.session() as session:
        last = app.count_ends.planned()
        made = chain(app.troubled.planned("failed"), app.export.planned("a")).on_end(last).create(session=session)
    calling.run("functions")
    blocked = made.jobs[1]
    assert [calling.row(job).status for job in (blocked, made[last])] == [JobStatus.BLOCKED, JobStatus.BLOCKED]
    with calling.session() as session:
        session.get_one(Job, blocked).cancel()
    calling.run("functions")
    assert str(calling.row(made[last]).result).startswith("1 FAILED, 1 CANCELLED")


@pytest.mark.feature("OCQ-11")
def test_a_job_class_plans_its_jobs(session: Session, foo: Foo) -> None:
    one, two = DoFooJob.planned(foo, session=session, priority=-1), ActJob.planned(target=foo)
    made = chain(one, two).create()
    first, second = DoFooJob.get(made[one]), ActJob.get(made[two])
    assert (first.context.foo, first.priority, second.context.foo) == (foo, -1, foo)
    assert second.predecessors()[0].id == first.id
    assert second.predecessor_counts() == {JobStatus.WAITING: 1}
    assert first.predecessors() == []
    with pytest.raises(InvalidJobData, match="job 1 of the graph, DoFooJob"):
        DoFooJob.planned(foo, colour="red").create()
