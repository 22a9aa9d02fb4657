"""A cancelled job that had committed something: the next run calls its failure hook, once."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from endless import ENDLESS_SECONDS, soon
from fooapp import ActJob
from instances import Instance, wait_until
from jobcron import Job, JobStatus
from jobcron.jobs.moves.pauses import Scope
from jobcron.operations.acts import act_on_jobs, cancel
from steps_jobs import look, make, notes
from ticks import took_the_full_path

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

HALF = {"first": [("move", "queue")]}


def cancelled_half_done(steps: Instance, **workspace: object) -> int:
    """Return a job of two tasks that was cancelled after its first."""
    job_id = make(steps, "hooked", {**HALF, **workspace})
    steps.run("hooked")
    assert steps.row(job_id).status is JobStatus.WAITING
    with steps.session() as session:
        session.get_one(Job, job_id).cancel()
    return job_id


def other_host(steps: Instance, tmp_path: Path) -> Instance:
    """Return the instance as on another host, which has locks of its own."""
    other = Instance(tmp_path / "other", steps.url)
    (other.path / "jobcron.conf").write_text((steps.path / "jobcron.conf").read_text())
    return other


def has_hook(monkeypatch: pytest.MonkeyPatch, hook: object) -> None:
    """Give the jobs that act a failure hook."""
    monkeypatch.setattr(ActJob, "afterFailure", hook, raising=False)


@pytest.mark.feature("DBQ-07")
def test_a_job_that_is_cancelled_after_its_first_task_has_its_failure_hook_once(steps: Instance) -> None:
    job_id = cancelled_half_done(steps)
    before = notes(steps, job_id)
    log = steps.run("hooked")
    steps.run("hooked")
    assert notes(steps, job_id) == [*before, "on failure", "after FAILED"]
    workspace = look(steps, "hooked", job_id)["workspace"]
    assert workspace["failure"][0] == "the job was cancelled when it had committed something"
    assert workspace["failure"][1] == "stepsapp.second"
    assert steps.events(job_id)[-2:] == ["cancelled", "cleaned up"]
    assert f"(ID {job_id}) was cancelled half done: its failure hook was called.\n" in log
    row = steps.row(job_id)
    assert (row.status, row.lease_expires) == (JobStatus.CANCELLED, None)


def test_so_has_one_that_an_operator_cancels(steps: Instance) -> None:
    job_id = make(steps, "hooked", HALF)
    steps.run("hooked")
    with steps.database.begin() as connection:
        assert act_on_jobs(connection, cancel(), [job_id]).moved == (job_id,)
    steps.run("hooked")
    assert notes(steps, job_id)[-2:] == ["on failure", "after FAILED"]


@on_postgresql  # on SQLite the task has the only lock
def test_so_has_one_that_is_cancelled_while_it_runs(steps: Instance, tmp_path: Path) -> None:
    there, go = str(tmp_path / "there"), tmp_path / "go"
    job_id = make(steps, "hooked", {"second": [("wait", (there, str(go)))]})
    with steps.start("hooked") as running:
        wait_until(lambda: Path(there).exists(), "the second task")
        with steps.database.begin() as connection:
            assert act_on_jobs(connection, cancel(), [job_id]).moved == (job_id,)
        go.touch()
        running.wait(30)
    assert "on failure" not in notes(steps, job_id)
    steps.run("hooked")
    assert notes(steps, job_id)[-2:] == ["on failure", "after FAILED"]
    assert "second" not in notes(steps, job_id)


@on_postgresql  # on SQLite the task has the only lock
@pytest.mark.parametrize("way", ["by hand", "in bulk"])
def test_no_other_run_calls_the_hook_while_the_cancelled_job_still_runs(
    steps: Instance, tmp_path: Path, way: str
) -> None:
    there, go = str(tmp_path / "there"), tmp_path / "go"
    job_id = make(steps, "hooked", {"second": [("wait", (there, str(go)))]})
    other = other_host(steps, tmp_path)
    with steps.start("hooked") as running, closing(other.database):
        wait_until(lambda: Path(there).exists(), "the second task")
        if way == "by hand":
            with steps.session() as session:
                session.get_one(Job, job_id).cancel()
        else:
            with steps.database.begin() as connection:
                assert act_on_jobs(connection, cancel(), [job_id]).moved == (job_id,)
        assert "hook" not in other.run("hooked")
        go.touch()
        running.wait(30)
        assert "hook was called" in other.run("hooked"), "its process has let go of it"
    assert notes(steps, job_id)[-2:] == ["on failure", "after FAILED"]
    assert (steps.row(job_id).crash_count, steps.row(job_id).lease_expires) == (0, None)


def test_the_hook_of_a_cancelled_job_whose_process_is_gone_is_called_when_its_lease_is_over(
    steps: Instance, tmp_path: Path
) -> None:
    job_id = make(steps, "hooked", {"second": [("die", (str(tmp_path / "deaths"), 1))]})
    steps.command("run", "hooked", expect=-signal.SIGKILL)
    with steps.session() as session:
        session.get_one(Job, job_id).cancel()
    assert "hook" not in steps.run("hooked")
    steps.query("UPDATE jobcron_job SET lease_expires = date_created")
    steps.run("hooked")
    assert notes(steps, job_id)[-2:] == ["on failure", "after FAILED"]
    assert steps.row(job_id).crash_count == 1


def test_a_tick_sees_that_a_hook_is_to_be_called_and_nothing_once_it_was(steps: Instance) -> None:
    job_id = cancelled_half_done(steps)
    assert "hook was called" in steps.command("run", "hooked")[1]
    assert "hook" not in steps.command("run", "hooked")[1]
    assert notes(steps, job_id).count("on failure") == 1


@pytest.mark.feature("LP-19")
def test_a_job_with_a_checkpoint_has_its_hook_and_one_without_has_not(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_hook(monkeypatch, lambda self, error: self.act_write(str(error)))
    half = instance.act(("checkpoint", ""), ("raise", "retry"), max_retries=3)
    nothing = instance.act(("raise", "retry"), max_retries=3)
    instance.run("act")
    for job_id in (half, nothing):
        assert instance.row(job_id).status is JobStatus.WAITING
        with instance.session() as session:
            session.get_one(Job, job_id).cancel()
    instance.run("act")
    told = "the job was cancelled when it had committed something"
    assert instance.ledger() == [(half, 1, told)]
    assert instance.events(nothing)[-1] == "cancelled"


def test_what_a_completed_or_failed_job_has_committed_is_no_longer_half_done(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = instance.act(("checkpoint", ""))
    failed = instance.act(("checkpoint", ""), ("raise", "value"))
    has_hook(monkeypatch, lambda self, error: self.act_write(type(error).__name__))
    instance.run("act")
    for job_id in (completed, failed):
        with instance.session() as session:
            row = session.get_one(Job, job_id)
            row.queue()
            row.cancel()
    instance.run("act")
    assert instance.ledger() == [(failed, 1, "ValueError")]


def test_a_job_that_waits_again_before_its_hook_was_called_goes_on(steps: Instance) -> None:
    job_id = cancelled_half_done(steps)
    with steps.session() as session:
        session.get_one(Job, job_id).queue()
    steps.make_due()
    steps.run("hooked")
    assert "on failure" not in notes(steps, job_id)
    assert notes(steps, job_id)[-2:] == ["second", "after COMPLETE"]


def test_a_job_that_cancels_itself_knows_what_it_leaves(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_hook(monkeypatch, lambda self, error: self.act_write(str(error)))
    monkeypatch.setattr(ActJob, "act_own_cancel", lambda self, argument: self.cancel(), raising=False)
    job_id = instance.act(("checkpoint", ""), ("own_cancel", ""))
    instance.run("act")
    instance.run("act")
    assert instance.row(job_id).status is JobStatus.CANCELLED
    assert instance.ledger() == []


def test_a_hook_that_fails_is_logged_and_noted_and_not_called_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(self: ActJob, error: BaseException) -> None:
        self.act_write("undone")
        raise LookupError("no warehouse")

    job_id = _cancelled_checkpoint(instance)
    has_hook(monkeypatch, hook)
    log = instance.run("act")
    assert "failed: what it has committed stays" in log
    assert "LookupError: no warehouse" in log
    assert instance.events(job_id)[-1] == "not cleaned up"
    assert instance.run("act") == ""
    assert instance.ledger() == []


def test_a_hook_that_moves_its_job_fails(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = _cancelled_checkpoint(instance)
    has_hook(monkeypatch, lambda self, error: self.queue())
    assert "failed: what it has committed stays" in instance.run("act")
    assert instance.row(job_id).status is JobStatus.CANCELLED
    assert instance.events(job_id)[-1] == "not cleaned up"


def test_a_hook_has_a_time_limit(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobcron.runner.cancelled.CLEAN_UP_SECONDS", 0.2)
    job_id = _cancelled_checkpoint(instance)
    has_hook(monkeypatch, lambda self, error: time.sleep(ENDLESS_SECONDS))
    with soon():
        assert "ran longer than 0.2 seconds" in instance.run("act")
    assert instance.events(job_id)[-1] == "not cleaned up"


def test_a_job_without_a_hook_is_left_alone(instance: Instance) -> None:
    job_id = _cancelled_checkpoint(instance)
    assert instance.run("act") == ""
    assert not instance.row(job_id).has_committed
    assert instance.events(job_id)[-1] == "cancelled"


def test_a_process_that_dies_in_a_hook_counts_and_another_calls_it_when_its_lease_is_over(
    steps: Instance, tmp_path: Path
) -> None:
    job_id = cancelled_half_done(steps, **{"on failure": [("die", (str(tmp_path / "deaths"), 1))]})
    steps.command("run", "hooked", expect=-signal.SIGKILL)
    assert "on failure" not in notes(steps, job_id)
    assert "hook" not in steps.run("hooked")
    steps.query("UPDATE jobcron_job SET lease_expires = date_created")
    steps.run("hooked")
    assert notes(steps, job_id)[-2:] == ["on failure", "after FAILED"]
    assert steps.row(job_id).crash_count == 1


@pytest.mark.parametrize(("limit", "told"), [(3, "3 attempts"), (1, "1 attempt")])
def test_a_hook_that_kills_its_process_again_and_again_is_given_up(
    steps: Instance, tmp_path: Path, limit: int, told: str
) -> None:
    path = steps.path / "jobcron.conf"
    path.write_text(path.read_text().replace("[jobcron]\n", f"[jobcron]\ncrash_limit: {limit}\n"))
    job_id = cancelled_half_done(steps, **{"on failure": [("die", (str(tmp_path / "deaths"), 9))]})
    for _ in range(limit):
        steps.command("run", "hooked", expect=-signal.SIGKILL)
        steps.query("UPDATE jobcron_job SET lease_expires = date_created")
    log = steps.run("hooked")
    assert f"job {job_id} was cancelled half done, and stays so: {told} at the job, or at its failure" in log
    assert steps.events(job_id)[-1] == "not cleaned up"
    assert "hook" not in steps.run("hooked")


def test_a_run_that_is_stopped_in_a_hook_leaves_it_to_the_next_one(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def hook(self: ActJob, error: BaseException) -> None:
        calls.append(1)
        self.act_write("undone" if len(calls) == 1 else "done")
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)  # the second does not wait for the grace
            time.sleep(ENDLESS_SECONDS)

    job_id = _cancelled_checkpoint(instance)
    later = instance.act(("write", "a job"))
    has_hook(monkeypatch, hook)
    with soon():
        instance.run("act")
    assert (instance.ledger(), instance.row(later).status) == ([], JobStatus.WAITING)
    instance.run("act")
    assert instance.ledger() == [(job_id, 1, "done"), (later, 1, "a job")]
    assert instance.row(job_id).crash_count == 0


def test_two_runs_at_once_call_a_hook_once(steps: Instance, tmp_path: Path) -> None:
    there, go = tmp_path / "there", tmp_path / "go"
    job_id = cancelled_half_done(steps, **{"on failure": [("wait", (str(there), str(go)))]})
    waiting = threading.Thread(target=steps.command, args=("run", "hooked"))
    waiting.start()
    wait_until(there.exists, "the hook")
    other = other_host(steps, tmp_path)
    if other.database.dialect == "postgresql":  # on SQLite the hook has the only lock
        other.run("hooked")
    go.touch()
    waiting.join()
    other.run("hooked")
    other.database.close()
    assert notes(steps, job_id).count("on failure") == 1


def _cancelled_checkpoint(instance: Instance) -> int:
    job_id = instance.act(("checkpoint", ""), ("raise", "retry"), max_retries=3)
    instance.run("act")
    with instance.session() as session:
        session.get_one(Job, job_id).cancel()
    return job_id


@pytest.mark.parametrize("scope", [Scope.SECTION, Scope.TYPE, Scope.QUEUE])
def test_the_hook_of_a_job_that_is_paused_is_called_after_the_pause(steps: Instance, scope: Scope) -> None:
    job_id = cancelled_half_done(steps)
    ((queue, type_name),) = steps.query(
        "SELECT queue, name FROM jobcron_job job JOIN jobcron_type kind ON kind.id = type WHERE job.id = :id",
        id=job_id,
    )
    name = {Scope.SECTION: "hooked", Scope.TYPE: type_name, Scope.QUEUE: queue}[scope]
    pause = ("--section", name) if scope is Scope.SECTION else (f"--{scope.value}", name)
    steps.command("pause", *pause)
    steps.query("DELETE FROM jobcron_run")
    assert took_the_full_path(steps, "hooked"), "a run is due"
    assert steps.events(job_id)[-1] == "cancelled"
    assert not took_the_full_path(steps, "hooked"), "it is no work for a tick"
    steps.command("unpause", *pause)
    assert took_the_full_path(steps, "hooked")
    assert steps.events(job_id)[-2:] == ["cancelled", "cleaned up"]
