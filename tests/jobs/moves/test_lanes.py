"""Fast and slow lanes: a job that reaches its time limit goes on as one of a slower type."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

import lanesapp
from fooapp import ActJob, Foo
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, JobStatus, JobType
from jobcron.jobs import registry
from jobcron.jobs.moves.lanes import lane_of
from lanesapp import SECONDS, NoteJob, QuickJob, SlowJob, SlowNoteJob
from runner_processes import make

LONG = 2 * SECONDS
"""Longer than the fast lane allows, shorter than the slow one does."""


@pytest.fixture
def lanes(instance: Instance) -> Instance:
    """Return an instance with sections for both lanes."""
    instance.configure(sections=lanesapp.SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "shortleaseapp:register_with_quick_keeper"))
    return instance


def type_of(instance: Instance, job: int) -> str:
    """Return the name of a job's type."""
    question = "SELECT name FROM jobcron_type WHERE id = (SELECT type FROM jobcron_job WHERE id = :id)"
    ((name,),) = instance.query(question, id=job)
    return str(name)


def events(instance: Instance, job: int) -> list[Any]:
    """Return (kind, detail) of a job's events."""
    return instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :id ORDER BY id", id=job)


@pytest.mark.parametrize("section", ["quick", "isolated"])
def test_a_job_that_reaches_its_limit_goes_on_in_the_slow_lane_from_its_top(lanes: Instance, section: str) -> None:
    job = make(lanes, QuickJob, ("write", "once"), ("sleep", LONG))
    quick = make(lanes, QuickJob, ("write", "quick"))
    _, err = lanes.command("run", section)
    assert "goes on in its slow lane, as foo_job.SLOW" in err
    row = lanes.row(job)
    assert (row.status, row.attempt_count, row.lease_token) == (JobStatus.WAITING, 0, 1)
    assert type_of(lanes, job) == "foo_job.SLOW"
    assert lanes.query("SELECT job_type FROM foo_job WHERE job = :id", id=job) == [(31,)]
    assert events(lanes, job) == [("slow lane", "foo_job.SLOW")]
    assert lanes.oopses() == []
    assert [note for *_, note in lanes.ledger()] == ["quick"]
    assert lanes.row(quick).status is JobStatus.COMPLETED
    lanes.command("run", section)
    assert lanes.row(job).lease_token == 1  # the fast lane passes it over
    lanes.command("run", "slow")
    row = lanes.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 1, 0)
    assert sorted(note for *_, note in lanes.ledger()) == ["once", "quick"]


def test_a_job_that_reaches_the_limit_of_the_slow_lane_fails_with_a_report(lanes: Instance) -> None:
    job = make(lanes, QuickJob, ("sleep", 5 * SECONDS))
    lanes.command("run", "quick", "slow")
    row = lanes.row(job)
    assert (row.status, row.attempt_count, len(lanes.oopses())) == (JobStatus.FAILED, 1, 1)
    assert "TimeLimitExceeded" in str(row.log)


def test_a_job_without_a_table_has_lanes_and_is_found_by_either_class(lanes: Instance) -> None:
    with lanes.session() as session:
        job = NoteJob.create(seconds=LONG, session=session).id
    lanes.command("run", "note", "slow_note")
    assert lanes.row(job).status is JobStatus.COMPLETED
    assert [note for *_, note in lanes.ledger()] == ["SlowNoteJob"]
    with lanes.session() as session:
        found = NoteJob.get(job, session=session)
        assert type(found) is SlowNoteJob
        assert lane_of(found) is None
        with pytest.raises(LookupError, match="expected a job .*SLOW with the number 999"):
            NoteJob.get(999, session=session)


@pytest.mark.parametrize(("given", "in_slow_lane"), [(None, "root.slow"), ("root.own", "root.own")])
def test_a_job_leaves_the_channel_of_its_fast_lane_but_keeps_one_that_it_was_given(
    lanes: Instance, given: str | None, in_slow_lane: str
) -> None:
    path = lanes.path / "jobcron.conf"
    content = path.read_text()
    for section in ("quick", "slow"):
        content = content.replace(f"[{section}]\n", f"[{section}]\nchannel: root.{section}\n")
    path.write_text(content)
    job = make(lanes, QuickJob, ("sleep", LONG), channel=given)
    lanes.command("run", "quick")
    assert (type_of(lanes, job), lanes.row(job).channel) == ("foo_job.SLOW", given)
    lanes.command("run", "slow")
    assert (lanes.row(job).status, lanes.row(job).channel) == (JobStatus.COMPLETED, in_slow_lane)


def test_a_job_has_the_channel_of_the_class_of_its_lane(lanes: Instance) -> None:
    with lanes.session() as session:
        job = NoteJob.create(seconds=LONG, session=session).id
    assert lanes.row(job).channel == "root.note"
    lanes.command("run", "note")
    assert lanes.row(job).channel == "root.slow_note"


def test_a_twin_that_waits_in_the_slow_lane_does_the_work_of_both(lanes: Instance) -> None:
    data = {"do": [["sleep", LONG]], "tell": []}
    jobs: list[int] = []
    for _ in range(2):
        with lanes.session() as session:
            foo = session.scalars(select(Foo)).one() if jobs else lanes.foo(session)
            jobs.append(QuickJob.create(foo, metadata=data, unique_key="one", session=session).id)
        lanes.command("run", "quick")
    assert [lanes.row(job).status for job in jobs] == [JobStatus.WAITING, JobStatus.CANCELLED]
    assert events(lanes, jobs[1]) == [("superseded", f"slow lane, superseded by {jobs[0]}")]


def test_a_job_whose_process_dies_on_the_way_is_taken_over_by_the_slow_lane(lanes: Instance) -> None:
    job = make(lanes, QuickJob, ("write", "x"), ("sleep", LONG))
    path = lanes.path / "jobcron.conf"
    content = path.read_text()
    path.write_text(content.replace("shortleaseapp:register_with_quick_keeper", "lanesapp:register_and_die"))
    lanes.command("run", "quick", expect=-9)
    path.write_text(content)
    assert lanes.row(job).status is JobStatus.RUNNING
    lanes.end_lease(job)
    lanes.command("run", "quick")
    assert lanes.row(job).status is JobStatus.RUNNING
    lanes.command("run", "slow")
    assert lanes.row(job).status is JobStatus.COMPLETED
    assert [note for *_, note in lanes.ledger()] == ["x"]
    assert lanes.row(job).crash_count == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_cannot_change_its_lane_fails_with_a_report(lanes: Instance) -> None:
    job = make(lanes, QuickJob, ("sleep", LONG))
    lanes.command("run", "restricted")  # its role may not change the family's rows
    row = lanes.row(job)
    assert (row.status, type_of(lanes, job)) == (JobStatus.FAILED, "foo_job.QUICK")
    assert "permission denied for table foo_job" in str(row.log)
    assert "The job was to go on in its slow lane, as foo_job.SLOW: the job ran longer" in str(row.log)
    assert len(lanes.oopses()) == 1


class WrongType(JobType):
    """Types of classes that are refused."""

    ONE = 40
    TWO = 41


@pytest.mark.parametrize(
    ("base", "values", "message"),
    [
        (QuickJob, {"slow_lane_of": "QuickJob"}, "from which it inherits, got 'QuickJob'"),
        (ActJob, {"slow_lane_of": QuickJob}, "from which it inherits, got lanesapp.QuickJob"),
        (QuickJob, {"slow_lane_of": QuickJob, "class_job_type": None}, "Wrong has no class_job_type"),
        (BaseRunnableJob, {"slow_lane_of": BaseRunnableJob}, "BaseRunnableJob has no class_job_type"),
        (
            QuickJob,
            {"slow_lane_of": QuickJob, "time_limit": SECONDS},
            "to have a longer one or none, got 0.4 and",
        ),
        (QuickJob, {"slow_lane_of": QuickJob, "time_limit": timedelta(0.1)}, "expected one slow lane of"),
        (ActJob, {"slow_lane_of": ActJob}, "expected fooapp.ActJob to have a time_limit"),
    ],
)
def test_classes_that_cannot_be_lanes_are_refused(base: Any, values: dict[str, Any], message: str) -> None:
    values = {"class_job_type": WrongType.ONE, "run": lambda self: None, **values}
    before = registry.registered()
    try:
        with pytest.raises(IncompleteJobType, match=message):
            type("Wrong", (base,), {"__module__": __name__, **values})
    finally:
        for name in registry.registered().keys() - before.keys():
            del registry._classes[name]
    assert lane_of(QuickJob) is None  # a class is no job
    assert registry.slow_lane_of(QuickJob.type_name) is SlowJob
