"""``run_jobs.py`` with several sections: each is a run of its own, and what stops one does not stop the next."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo
from instances import SECTIONS, Instance
from jobcron import JobCronScript, JobStatus
from jobcron.scripts.locks.lock import RunLock
from jobcron.testing import BufferLogger
from runner_processes import Gate
from script_runs import do_foo

ISOLATED = SECTIONS.replace("[act]\n", "[act]\nrunner_class: ProcessJobRunner\n")


def runs(instance: Instance) -> list[str]:
    """Return the names of the run rows, the first run first."""
    return [name for (name,) in instance.query("SELECT name FROM jobcron_run ORDER BY id")]


@pytest.mark.feature("LP-12")
def test_sections_run_one_after_the_other_in_the_order_that_is_given(instance: Instance) -> None:
    foo, act = do_foo(instance), instance.act(("write", "x"))
    _, err = instance.command("run", "do_foo", "act", "do_foo")
    assert [instance.row(job).status for job in (foo, act)] == [JobStatus.COMPLETED] * 2
    assert runs(instance) == ["do_foo", "act"]
    assert err.index("Ran 1 DoFooJob jobs.") < err.index("Ran 1 ActJob jobs.")
    assert sorted(path.name for path in (instance.state / "locks").iterdir()) == ["act.lock", "do_foo.lock"]


@pytest.mark.feature("LP-12")
def test_the_later_sections_run_when_one_is_wrong_and_the_status_is_the_worst(instance: Instance) -> None:
    foo, act = do_foo(instance), instance.act(("raise", "value"))
    arguments = ("run", "--fail-on-job-failure", "nosuch", "act", "do_foo")
    _, err = instance.command(*arguments, expect=2)
    assert "expected a section [nosuch], found none; the sections of jobs are: act, do_foo" in err
    assert [instance.row(job).status for job in (act, foo)] == [JobStatus.FAILED, JobStatus.COMPLETED]
    instance.act(("raise", "value"))
    instance.command("run", "--fail-on-job-failure", "act", "do_foo", expect=1)


@pytest.mark.feature("LP-12")
def test_a_section_whose_lock_is_held_is_left_out_and_others_switched_off_as_well(instance: Instance) -> None:
    control = instance.path / "control.ini"
    control.write_text("[do_foo]\nenabled: false\n")
    instance.configure(f"cron_control: {control}")
    foo, act = do_foo(instance), instance.act(("write", "x"))
    lock = RunLock(str(instance.state / "locks"), "act", "the lock directory")
    lock.acquire()
    try:
        instance.command("run", "do_foo", "act", expect=3)
        assert [instance.row(job).status for job in (foo, act)] == [JobStatus.WAITING] * 2
        control.write_text("")
        instance.command("run", "act", "do_foo", expect=3)
    finally:
        lock.release()
    assert [instance.row(job).status for job in (foo, act)] == [JobStatus.COMPLETED, JobStatus.WAITING]
    instance.command("run", "do_foo", "act")
    assert instance.row(act).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-12")
@pytest.mark.parametrize("sections", [SECTIONS, ISOLATED], ids=["plain", "isolated"])
def test_a_run_that_is_asked_to_stop_is_the_last(instance: Instance, gate: Gate, sections: str) -> None:
    instance.configure(sections=sections)
    act, foo = instance.act(gate.touch, gate.wait, ("write", "x")), do_foo(instance)
    process = instance.start("act", "do_foo")
    gate.reached()
    process.send_signal(signal.SIGTERM)
    gate.open()
    assert process.wait(timeout=60) == 0
    assert [instance.row(job).status for job in (act, foo)] == [JobStatus.COMPLETED, JobStatus.WAITING]


@pytest.mark.feature("LP-12")
def test_a_keyboard_interrupt_starts_no_further_section(instance: Instance) -> None:
    instance.act(("press_a_key", ""))
    foo = do_foo(instance)
    instance.command("run", "act", "do_foo", expect=1)
    assert instance.row(foo).status is JobStatus.WAITING


@pytest.mark.feature("LP-15")
def test_a_script_in_a_test_runs_all_its_sections(
    instance: Instance, session: Session, foo: Foo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    jobs = [DoFooJob.create(foo), ActJob.create(foo, metadata={"do": [], "tell": []})]
    logger = BufferLogger()
    script = JobCronScript(test_args=["do_foo", "act"], commandline_config=True, logger=logger)
    script.main()
    assert [job.context.job.status for job in jobs] == [JobStatus.COMPLETED] * 2
    assert logger.getLogBuffer().count("Ran 1 ") == 2


def test_a_profile_is_of_one_section(instance: Instance) -> None:
    arguments = ("run", "act", "do_foo", "--profile", str(instance.path / "profile"))
    _, err = instance.command(*arguments, expect=2)
    assert "expected one section with --profile, got: act do_foo" in err
    _, err = instance.command("run", expect=2)
    assert "expected the names of sections of the configuration, got: none" in err
