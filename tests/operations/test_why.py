"""`why` says runnable exactly when a claim takes the job, and names each planted cause first."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

import fooapp
from instances import SECTIONS, Instance
from jobcron import Database, Job, JobStatus, NoSuchJob, chain, load_settings
from jobcron.database.tables import Renewal, jobs_connection
from jobcron.jobs.job import is_ready
from jobcron.jobs.moves.pauses import Pause, Scope, write_pause
from jobcron.operations.reasons import Cause, Explanation
from jobcron.operations.why import explain_job, explain_section
from jobcron.queue.claim import Claimant, claim, claim_one, reclaim
from jobcron.queue.finish import set_aside
from jobcron.queue.outcome import Stopped
from jobcron.scripts.locks.lock import RunLock
from jobcron.testing import JobFactory
from paths import APPS

W, R, C, F, S, X, E, B = JobStatus

NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
ME = Claimant("me:1", 60)

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def states(session: Session) -> list[Job]:
    """Return a job in each state that a row can have, as far as a claim looks at it."""
    factory = JobFactory(session)
    jobs = []
    for status, start, lease, expiry, crashes in itertools.product(
        JobStatus, (PAST, FUTURE), (None, PAST, FUTURE), (None, PAST, FUTURE), (0, 1)
    ):
        if status is R and lease is None:
            continue  # the database refuses it
        values: dict[str, Any] = {
            "scheduled_start": start,
            "lease_expires": lease,
            "expires_at": expiry,
            "crash_count": crashes,
        }
        for queue in ("default", "paused") if status in (W, R) else ("default",):
            jobs.append(factory.makeJob(status, queue_name=queue, **values))
    session.flush()
    connection = jobs_connection(session)
    write_pause(connection, Pause(Scope.QUEUE, "paused", "ada", None, NOW, None))
    write_pause(connection, Pause(Scope.QUEUE, "default", "ada", None, PAST, PAST))
    write_pause(connection, Pause(Scope.TYPE, "another.TYPE", "ada", None, PAST, FUTURE))
    return jobs


def taken(connection: Connection, number: int) -> set[int]:
    """Return the jobs of a type that claims and takeovers take until none is left."""
    found: set[int] = set()
    while claims := claim(connection, number, 1000, ME) or reclaim(connection, number, ME):
        found |= {one.id for one in claims}
    return found


@pytest.mark.feature("N-02")
def test_a_job_is_called_runnable_exactly_when_a_claim_takes_it(session: Session) -> None:
    jobs, connection = states(session), jobs_connection(session)
    said = {job.id: explain_job(connection, job.id) for job in jobs}
    runnable = {number for number, found in said.items() if found.is_claimable}
    ready = set(session.scalars(select(Job.id).where(is_ready())))
    taken_one_by_one = {job.id for job in jobs if _is_taken(connection, job.id)}
    assert taken_one_by_one == ready == {job.id for job in jobs if job.status is W} & runnable
    assert taken(connection, jobs[0].type_id) == runnable
    assert len(runnable) > 10
    for job in jobs:
        found = said[job.id]
        is_running = any(reason.cause is Cause.RUNNING for reason in found.reasons)
        assert found.is_runnable == (bool(found.is_claimable) or is_running), job


@pytest.mark.parametrize("status", [W, R])
def test_no_job_of_a_paused_type_is_called_runnable_and_none_is_taken(session: Session, status: JobStatus) -> None:
    job, connection = JobFactory(session).makeJob(status, lease_expires=PAST), jobs_connection(session)
    session.flush()
    assert explain_job(connection, job.id).is_claimable
    write_pause(connection, Pause(Scope.TYPE, "testing.JOB", "ada", None, NOW, FUTURE))
    found = explain_job(connection, job.id)
    assert (found.is_claimable, found.is_runnable) == (False, False)
    assert Cause.PAUSED in [reason.cause for reason in found.reasons]
    assert taken(connection, job.type_id) == set()
    assert not _is_taken(connection, job.id)


def _is_taken(connection: Connection, number: int) -> bool:
    with connection.begin_nested() as savepoint:
        found = bool(claim_one(connection, number, ME))
        savepoint.rollback()
    return found


def test_a_job_whose_lease_is_renewed_beside_its_row_is_running(session: Session) -> None:
    job, connection = JobFactory(session).makeJob(R, lease_expires=PAST), jobs_connection(session)
    session.flush()
    assert explain_job(connection, job.id).reasons[0].cause is Cause.ABANDONED
    session.add(Renewal(job_id=job.id, lease_token=job.lease_token, lease_expires=FUTURE))
    session.flush()
    found = explain_job(connection, job.id)
    assert (found.is_claimable, found.reasons[0].cause, found.reasons[0].until) == (False, Cause.RUNNING, FUTURE)
    assert taken(connection, job.type_id) == set()


def test_a_job_whose_process_is_missing_here_is_not_said_to_run(session: Session) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = os.uname().nodename
    for host, pid, cause in (
        (here, ended.pid, Cause.ABANDONED),
        (here, os.getpid(), Cause.RUNNING),
        ("elsewhere", ended.pid, Cause.RUNNING),
    ):
        name = f"{host}:{pid}/0123456789ab"
        job = JobFactory(session).makeJob(R, lease_expires=FUTURE, claimed_by=name)
        session.flush()
        reason = explain_job(jobs_connection(session), job.id).reasons[0]
        assert (reason.cause, reason.until) == (cause, FUTURE)
        assert (f"this host has no process {pid}" in reason.text) is (cause is Cause.ABANDONED)


@on_postgresql
def test_whoever_looks_where_nothing_may_be_locked_as_at_a_standby_is_answered(instance: Instance) -> None:
    job = instance.act()
    with instance.database.begin() as locking:
        locking.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": job})
        with instance.database.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            found = explain_job(connection, job)
        assert [reason.cause for reason in found.reasons if reason.is_blocking] == [Cause.LOCKED]
    with instance.database.engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        assert explain_job(connection, job).is_runnable


@on_postgresql
def test_a_locked_row_is_passed_over_and_whoever_locks_it_is_named(instance: Instance) -> None:
    number = instance.act()
    with instance.database.engine.begin() as other:
        other.execute(text("SET LOCAL application_name = 'the culprit'"))
        other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": number})
        with instance.database.begin() as connection:
            found = explain_job(connection, number)
            assert not found.is_claimable
            assert not found.is_runnable
            assert taken(connection, connection.scalar(text("SELECT type FROM jobcron_job")) or 0) == set()
    (reason,) = found.reasons
    assert reason.cause is Cause.LOCKED
    assert "the culprit" in reason.text
    assert "last statement: SELECT 1 FROM jobcron_job" in reason.text
    with instance.database.begin() as connection:
        assert explain_job(connection, number).is_claimable


@on_postgresql
@pytest.mark.parametrize("name", ["jobcron", "the culprit"])
def test_of_a_running_job_only_the_lock_of_a_stranger_is_told(instance: Instance, name: str) -> None:
    number = instance.act()
    with instance.session() as session:
        assert claim_one(session.connection(), number, ME)
    with instance.database.engine.begin() as other:  # the job's own transaction, or somebody else's
        other.execute(text(f"SET LOCAL application_name = '{name}'"))
        other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": number})
        with instance.database.begin() as connection:
            found = explain_job(connection, number).reasons
    told = [reason.text for reason in found if reason.cause is Cause.LOCKED]
    assert len(told) == (name != "jobcron")
    assert found[0].cause is Cause.RUNNING
    assert all("the culprit" in text and "its end has to wait" in text for text in told)


@on_postgresql
def test_a_role_that_only_reads_is_told_too(instance: Instance) -> None:
    number = instance.act()
    watcher = Database(instance.url, "foo_watcher")
    try:
        with watcher.begin(writing=False) as connection:
            assert explain_job(connection, number).is_claimable
        with instance.database.engine.begin() as other:
            other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": number})
            with watcher.begin(writing=False) as connection:
                assert explain_job(connection, number).reasons[0].cause is Cause.LOCKED
    finally:
        watcher.close()


@on_postgresql
def test_a_child_of_a_row_that_is_not_committed_locks_nobody_out(instance: Instance) -> None:
    number = instance.act()
    with instance.database.engine.begin() as other:
        other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR KEY SHARE"), {"id": number})
        with instance.database.begin() as connection:
            assert explain_job(connection, number).is_claimable
            assert claim_one(connection, number, ME)


@dataclass
class Scene:
    """An instance in which a cause is planted.

    Attributes:
        instance: its section act has run a moment ago.
        job: the job that is asked about.
    """

    instance: Instance
    job: int

    def set(self, **values: Any) -> None:
        """Set columns of the job's row."""
        with self.instance.session() as session:
            row = session.get_one(Job, self.job)
            for name, value in values.items():
                setattr(row, name, value)

    def move(self, name: str) -> None:
        """Move the job by hand."""
        with self.instance.session() as session:
            getattr(session.get_one(Job, self.job), name)()

    def why(self) -> Explanation:
        """Ask."""
        settings = load_settings(str(self.instance.path))
        with self.instance.database.begin(writing=False) as connection:
            return explain_job(connection, self.job, settings)


@pytest.fixture
def scene(instance: Instance) -> Scene:
    """Return an instance whose section has run, and a job that runs at the next opportunity."""
    fooapp.register()
    instance.run("act")
    return Scene(instance, instance.act())


def fail(scene: Scene) -> None:
    scene.set(json_data={"do": [["raise", "value"]], "tell": []})
    scene.instance.run("act")


def retried(scene: Scene) -> None:
    scene.set(json_data={"do": [["raise", "retryable"]], "tell": []})
    scene.instance.run("act")


def ahead_of_its_code(scene: Scene) -> None:
    scene.set(needs="dry_run")
    scene.instance.run("act")


def poison(scene: Scene) -> None:
    scene.move("start")
    scene.set(crash_count=3, attempt_count=3)
    scene.move("fail")


def expired(scene: Scene) -> None:
    scene.set(expires_at=PAST)
    scene.instance.run("act")


def superseded(scene: Scene) -> None:
    scene.set(unique_key="7", json_data={})
    with scene.instance.session() as session:
        (claim,) = claim_one(session.connection(), scene.job, Claimant("a run", 300.0))
    with scene.instance.session() as session:
        twin = JobFactory(session).makeJob(type_name="foo_job.ACT", unique_key="7").id
    scene.instance.query(
        "INSERT INTO foo_job (job, job_type, foo_id) SELECT :twin, job_type, foo_id FROM foo_job", twin=twin
    )
    assert set_aside(scene.instance.database, claim, Stopped()) is not None


def blocked(scene: Scene) -> None:
    with scene.instance.session() as session:
        scene.job = JobFactory(session).makeJob(B, type_name="foo_job.ACT").id


def dead(scene: Scene) -> None:
    scene.move("start")
    scene.instance.end_lease(scene.job)


def of_unknown_type(scene: Scene) -> None:
    with scene.instance.session() as session:
        scene.job = JobFactory(session).makeJob(type_name="gone.FOR_GOOD").id


def without_section(scene: Scene) -> None:
    sections = SECTIONS.replace("[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\n", "")
    scene.instance.configure(sections=sections)


def switched_off(scene: Scene) -> None:
    control = scene.instance.path / "control.ini"
    control.write_text("[act]\nenabled: false\n")
    scene.instance.configure(f"cron_control: {control}")


def never_run(scene: Scene) -> None:
    scene.instance.query("DELETE FROM jobcron_run")


def silent(scene: Scene) -> None:
    scene.instance.query("UPDATE jobcron_run SET date_completed = :then", then="2020-01-01 00:00:00.000000")


def outage(scene: Scene) -> None:
    path = Path(load_settings(str(scene.instance.path)).outage_file("act"))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("connection refused")
    path.chmod(0o600)


def with_others_first(scene: Scene) -> None:
    scene.set(priority=11)
    scene.instance.multiply(
        scene.job, 3, scheduled_start="scheduled_start" if False else "'2026-01-01 00:00:00.000000'"
    )


def with_limited_runs(scene: Scene) -> None:
    with_others_first(scene)
    scene.instance.configure(sections=SECTIONS.replace("IActJobSource\n", "IActJobSource\nmax_runtime: 0.1s\n"))
    scene.instance.query(
        "UPDATE jobcron_run SET completed = 1, date_started = :then", then="2026-01-01 00:00:00.000000"
    )


PLANTED: dict[Cause, tuple[Callable[[Scene], Any], str]] = {
    Cause.COMPLETED: (lambda scene: scene.instance.run("act"), "it completed 0 s ago"),
    Cause.POISON: (poison, "its process died in 3 attempts, and the limit is 3"),
    Cause.FAILED: (fail, "it failed at its first attempt"),
    Cause.SUSPENDED: (lambda scene: scene.move("suspend"), "it is suspended by "),
    Cause.SUPERSEDED: (superseded, "another job took its place by runner"),
    Cause.CANCELLED: (lambda scene: scene.move("cancel"), "it was cancelled by "),
    Cause.EXPIRED: (expired, "it was to be started before "),
    Cause.BLOCKED: (blocked, "it waits for other jobs"),
    Cause.RUNNING: (lambda scene: scene.move("start"), "it is running, held by "),
    Cause.ABANDONED: (dead, "the process seems dead"),
    Cause.TOO_LATE: (lambda scene: scene.set(expires_at=PAST), "the next run of its section expires it"),
    Cause.WAITS_FOR_CODE: (ahead_of_its_code, "it waits for code that has what its row names: "),
    Cause.RETRY: (retried, "it waits for its next attempt: it is not due for "),
    Cause.NOT_DUE: (lambda scene: scene.set(scheduled_start=FUTURE), "it is not due for "),
    Cause.LEASED: (lambda scene: scene.move("acquireLease"), "somebody has taken its lease by hand"),
    Cause.TYPE_UNKNOWN: (of_unknown_type, "no class of this application has the type gone.FOR_GOOD"),
    Cause.NO_SECTION: (without_section, "runs jobs of the type foo_job.ACT"),
    Cause.SWITCHED_OFF: (switched_off, "act is switched off: Disabled by section [act] of "),
    Cause.OUTAGE: (outage, "the last run of section act on this host did not find the database, since "),
    Cause.NEVER_RUN: (never_run, "section act has never run"),
    Cause.SILENT: (silent, "section act is silent: last run "),
    Cause.AHEAD: (with_others_first, "jobs of its type that go first: 3; the section ran 0 in the last hour"),
    Cause.CLAIMED_ALONE: (lambda scene: scene.set(crash_count=1), "its process died 1 time: it is claimed alone"),
}  # fmt: skip


def test_a_job_without_any_cause_runs_at_the_next_opportunity(scene: Scene) -> None:
    found = scene.why()
    assert (found.is_runnable, found.is_claimable, found.section, found.reasons) == (True, True, "act", ())


@pytest.mark.parametrize("cause", PLANTED, ids=str)
def test_a_planted_cause_is_named_first(scene: Scene, cause: Cause) -> None:
    plant, words = PLANTED[cause]
    plant(scene)
    found = scene.why()
    assert found.reasons[0].cause is cause, found
    assert words in re.sub(r"\b\d s ago", "0 s ago", found.reasons[0].text)  # a machine may be slow
    runs = {Cause.RUNNING, Cause.ABANDONED, Cause.OUTAGE, Cause.AHEAD, Cause.CLAIMED_ALONE}
    assert found.is_runnable == (cause in runs)


def test_all_causes_are_told_in_the_order_of_judgement(scene: Scene) -> None:
    scene.set(scheduled_start=FUTURE, expires_at=FUTURE + timedelta(hours=1))
    scene.move("acquireLease")
    switched_off(scene)
    never_run(scene)
    causes = [reason.cause for reason in scene.why().reasons]
    assert causes == [Cause.NOT_DUE, Cause.LEASED, Cause.SWITCHED_OFF, Cause.NEVER_RUN]


def test_a_job_that_a_limited_run_does_not_reach_is_told_so(scene: Scene) -> None:
    with_limited_runs(scene)
    causes = [reason.cause for reason in scene.why().reasons if not reason.is_blocking]
    assert causes == [Cause.AHEAD, Cause.MAX_RUNTIME]


def test_a_run_in_progress_is_told_with_its_process(scene: Scene) -> None:
    settings = load_settings(str(scene.instance.path))
    lock = RunLock(settings.lock_dir, "act")
    lock.acquire()
    try:
        (reason,) = scene.why().reasons
    finally:
        lock.release()
    assert reason.cause is Cause.LOCK_HELD
    assert "its lock is held by process " in reason.text


def test_the_twin_of_an_ended_job_is_named(scene: Scene) -> None:
    scene.set(unique_key="7")
    scene.move("cancel")
    with scene.instance.session() as session:
        twin = JobFactory(session).makeJob(type_name="foo_job.ACT", unique_key="7").id
    reason = scene.why().reasons[-1]
    assert (reason.cause, reason.is_blocking) == (Cause.TWIN, False)
    assert f"job {twin} has the same unique key '7'" in reason.text


@on_postgresql
def test_rights_that_the_role_of_a_section_lacks_are_named(scene: Scene) -> None:
    scene.instance.configure(f"security_cfg: {APPS / 'security.cfg'}")
    assert scene.why().reasons == ()
    with scene.instance.database.begin() as connection:
        connection.execute(text("REVOKE SELECT ON foo_job FROM foo_runner"))
    try:
        reason = scene.why().reasons[0]
        assert reason.cause is Cause.NO_RIGHTS
        assert "the role foo_runner may not SELECT foo_job" in reason.text
        scene.instance.configure(sections=SECTIONS.replace("foo_runner", "nobody_at_all"))
        assert "the role nobody_at_all does not exist" in scene.why().reasons[0].text
    finally:
        with scene.instance.database.begin() as connection:
            connection.execute(text("GRANT SELECT ON foo_job TO foo_runner"))


def test_a_job_of_a_source_written_by_hand_is_left_to_its_source(scene: Scene) -> None:
    with scene.instance.session() as session:
        from jobcron.testing import use_session

        with use_session(session):
            fooapp.handmade_source.create(scene.instance.foo(session))
    scene.instance.run("handmade")
    scene.job += 1
    scene.move("queue")
    found = scene.why()
    assert (found.section, [reason.cause for reason in found.reasons]) == ("handmade", [Cause.OWN_READY])


def section_why(instance: Instance, name: str) -> Explanation:
    """Ask about a section."""
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        return explain_section(connection, settings, settings.section(name))


def test_a_section_says_what_it_would_do(scene: Scene) -> None:
    found = section_why(scene.instance, "act")
    assert (found.is_runnable, [reason.cause for reason in found.reasons]) == (True, [Cause.READY])
    assert found.reasons[0].text.startswith("ready jobs: 1, the oldest for ")
    scene.set(scheduled_start=FUTURE)
    (reason,) = section_why(scene.instance, "act").reasons
    assert (reason.cause, reason.is_blocking, reason.until is not None) == (Cause.NOTHING_READY, False, True)
    scene.move("cancel")
    assert section_why(scene.instance, "act").reasons[0].text == "no job is ready: none waits"


def test_a_section_that_does_not_run_says_so_first(scene: Scene) -> None:
    found = section_why(scene.instance, "do_foo")
    assert (found.is_runnable, found.reasons[0].cause) == (False, Cause.NEVER_RUN)
    assert "jobcron crontab" in str(found.reasons[0].remedy)
    scene.instance.query("DELETE FROM jobcron_source")
    assert [reason.cause for reason in section_why(scene.instance, "act").reasons] == [Cause.SOURCE_UNKNOWN]


def test_a_job_that_is_not_there_is_an_error(instance: Instance) -> None:
    with instance.database.begin(writing=False) as connection, pytest.raises(NoSuchJob):
        explain_job(connection, 99)


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize(
    ("move", "text", "remedy"),
    [
        (None, "which is WAITING, to complete", "nothing; jobcron retry {job} does not wait for it"),
        ("cancel", "which is CANCELLED, to complete", "jobcron retry {before} goes on with it; "),
        ("delete", "job {before}, which was deleted, to complete", "jobcron retry {job} does not wait for it"),
    ],
)
def test_a_blocked_job_says_for_which_job_it_waits_and_what_that_is(
    scene: Scene, move: str | None, text: str, remedy: str
) -> None:
    before = scene.job
    with scene.instance.session() as session:
        first = fooapp.ActJob.get(before, session=session)
        made = chain(first, fooapp.ActJob.planned(first.context.foo)).create(session=session)
    (scene.job,) = made.jobs
    if move == "delete":
        scene.instance.query("DELETE FROM foo_job WHERE job = :id", id=before)
        scene.instance.query("DELETE FROM jobcron_job WHERE id = :id", id=before)
    elif move is not None:
        with scene.instance.session() as session:
            getattr(session.get_one(Job, before), move)()
    found = scene.why()
    (reason,) = found.reasons
    assert (found.is_runnable, reason.cause) == (False, Cause.BLOCKED)
    assert text.format(before=before) in reason.text
    assert (reason.remedy or "").startswith(remedy.format(job=scene.job, before=before))
