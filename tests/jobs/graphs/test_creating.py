"""A graph is created in one transaction and few statements, whatever its jobs are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

import functionapp as typed_app
import stepsapp
from fooapp import ActJob, DoFooJob, Foo
from function_jobs import notes
from instances import Instance
from jobcron import (
    BaseRunnableJob,
    DuplicateJob,
    InvalidJobData,
    Job,
    JobStatus,
    JobType,
    NoSession,
    chain,
    group,
)
from jobcron.database.tables import EdgeRow

app: Any = typed_app


class GraphJobType(JobType):
    """Types of jobs for these tests."""

    NOTE = 1
    OWN = 2


class NoteJob(BaseRunnableJob):
    """Has no table of its own."""

    class_job_type = GraphJobType.NOTE
    text: str

    def run(self) -> None:
        """Do nothing."""


class OwnJob(BaseRunnableJob):
    """Creates its jobs by itself."""

    class_job_type = GraphJobType.OWN
    text: str

    @classmethod
    def create(cls, name: str, times: int = 1) -> Self:  # type: ignore[override]
        """Create a job, and another one besides."""
        super().create(text="besides")
        return super().create(text=name * times)

    def run(self) -> None:
        """Do nothing."""


@pytest.mark.feature("OCQ-11")
def test_a_graph_has_jobs_of_every_kind(steps: Instance) -> None:
    with steps.session() as session:
        foo = steps.foo(session)
        made = chain(
            ActJob.planned(foo, priority=3),
            group(NoteJob.planned(text="hello"), app.export.options(eta=3600, priority=0).planned("partner")),
            stepsapp.Hooked.planned(workspace={"cat": 1}, priority=2),
        ).create(session=session)
        jobs = [session.get_one(Job, number) for number in made.jobs]
        act, note, call, steps_job = jobs
        assert [job.status.name for job in jobs] == ["WAITING", "BLOCKED", "BLOCKED", "BLOCKED"]
        assert [job.has_successors for job in jobs] == [True, True, True, False]
        assert (act.priority, ActJob.get(act.id, session=session).context.foo) == (3, foo)
        assert NoteJob.get(note.id, session=session).text == "hello"
        assert (call.priority, call.description) == (0, "Export one thing.")
        assert call.scheduled_start - call.date_created > timedelta(minutes=59)
        hooked = stepsapp.Hooked.get(steps_job.id, session=session)
        assert hooked.workspace["cat"] == 1
        assert steps_job.priority == 8


@pytest.mark.feature("OCQ-11")
def test_a_class_that_creates_its_jobs_itself_is_asked_to(session: Session) -> None:
    made = chain(app.export.planned("a"), OwnJob.planned("ab", times=2)).create(session=session)
    jobs = {OwnJob(row).text: row.status for row in session.scalars(select(Job)) if row.id != made.jobs[0]}
    assert sorted(jobs.values()) == [JobStatus.WAITING, JobStatus.BLOCKED]
    assert OwnJob.get(made.jobs[1]).text == "abab"


@pytest.mark.feature("OCQ-11")
def test_a_graph_takes_few_statements(session: Session, foo: Foo) -> None:
    statements: list[str] = []
    parts = group(*(DoFooJob.planned(foo) for _ in range(150)), *(app.export.planned("a") for _ in range(150)))
    planned = chain(app.export.planned("first"), parts).on_end(app.export.planned("last"))
    event.listen(session.connection(), "before_cursor_execute", lambda *args: statements.append(args[2]))
    planned.create(session=session)
    assert len(session.scalars(select(EdgeRow)).all()) == 300 + 301
    assert len(statements) <= 14, "\n".join(statements)


@pytest.mark.feature("OCQ-11")
def test_the_session_is_that_of_a_target_wherever_it_stands(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        made = chain(app.export.planned("a"), DoFooJob.planned(foo), app.export.planned("b")).create()
        assert len(made.jobs) == len(session.scalars(select(Job)).all()) == 3
    with pytest.raises(NoSession):
        app.export.planned("a").create()


@pytest.mark.feature("OCQ-11")
def test_a_graph_whose_transaction_is_rolled_back_never_existed(session: Session) -> None:
    chain(app.export.planned("a"), app.export.planned("b")).create(session=session)
    session.rollback()
    assert session.scalars(select(Job)).all() == []
    assert session.scalars(select(EdgeRow)).all() == []


@pytest.mark.feature("OCQ-11")
def test_a_job_that_does_not_fit_is_named_and_nothing_is_written(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match="job 2 of the graph, NoteJob: expected text for NoteJob, got none"):
        chain(DoFooJob.planned(foo), NoteJob.planned()).create(session=session)
    with pytest.raises(InvalidJobData, match="expected arguments that fit functionapp.export"):
        app.export.planned()
    with pytest.raises(InvalidJobData, match="expected all values but the first to have names"):
        NoteJob.planned("a", "b").create(session=session)
    assert session.scalars(select(Job)).all() == []


@pytest.mark.feature("OCQ-11")
def test_a_unique_key_that_is_taken_refuses_the_whole_graph(session: Session) -> None:
    one = app.export.options(identity_key="k")
    one.delay(session, "a")
    with pytest.raises(DuplicateJob, match="expected the unique key 'functionapp.export:k'"):
        chain(NoteJob.planned(text="a"), OwnJob.planned("b"), one.planned("b")).create(session=session)
    assert [row.unique_key for row in session.scalars(select(Job))] == ["functionapp.export:k"]


@pytest.mark.feature("OCQ-11")
def test_a_running_job_lets_others_wait_for_itself(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.begin_graph.delay("partner", session=session)
    calling.run("functions")
    assert notes(calling) == ["begun", "partner 1"]
    with calling.session() as session:
        assert {row.status for row in session.scalars(select(Job))} == {JobStatus.COMPLETED}
        assert uuid in {str(row.uuid) for row in session.scalars(select(Job)) if row.has_successors}
