"""The isolated runner: whatever a job does to its process, it ends as one outcome, and the others are run."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import misbehavingapp
from instances import Instance
from isolated_jobs import configure, is_alive, make, processes, reports
from jobcron import DatabaseUnavailable, JobCronScript, JobStatus
from jobcron.errors import ProcessNotStarted
from jobcron.queue import type_feed
from jobcron.testing import BufferLogger, use_session

HARM = [
    ("fail", "ValueError", "as any job may"),
    ("have_no_limit_to_tell", "SystemExit", "no limit to tell"),
    ("die", "ProcessDied", "killed by SIGSEGV"),
    ("die_without_sense", "TypeError", "not iterable"),
    ("be_killed", "ProcessDied", "perhaps by the kernel because memory had run out"),
    ("leave", "ProcessDied", "left with status 0 in the middle of it"),
    ("press_a_key", "KeyboardInterrupt", ""),
    ("terminate_itself", "Interrupted", "a second SIGTERM"),
    ("hang", "TimeLimitExceeded", "ran longer than 1 second"),
    ("ignore_everything", "TimeLimitExceeded", "ran longer than 1 second"),
    ("stop", "TimeLimitExceeded", "ran longer than 1 second"),
    ("say_nonsense", "ProcessDied", "expected a message, got b'{"),
    ("say_too_much", "ProcessDied", "expected a message of at most"),
    ("say_it_is_done", "ProcessDied", "expected the end of its job, which runs"),
    ("say_it_starts_again", "ProcessDied", "expected a job to start once"),
    ("close_everything", "ProcessDied", "left with status 70"),
    ("print", "OutputLimitExceeded", "printed more than 1048576 bytes"),
    ("take_memory", "MemoryError", ""),
    ("take_memory_in_children", "MemoryLimitExceeded", "more than 419430400"),
]
"""What a job does to its process, and what its report says."""

BOTH = {
    "fail",
    "die",
    "be_killed",
    "leave",
    "press_a_key",
    "terminate_itself",
    "close_everything",
    "hang",
    "ignore_everything",
    "say_nonsense",
    "take_memory",
}
"""Each way in which a job's transaction ends: by its own process, by its death, by its parent."""


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize(
    ("database_url", "thing", "kind", "said"),
    [
        *(("sqlite", *harm) for harm in HARM),
        *(("postgresql", *harm) for harm in HARM if harm[0] in BOTH),
    ],
    indirect=["database_url"],
)
def test_what_harms_its_process_fails_with_one_report_and_the_others_are_run(
    harsh: Instance, thing: str, kind: str, said: str
) -> None:
    first, bad, last = make(harsh, "well", thing, "well")
    err = harsh.run("harsh")
    assert [harsh.row(job).status for job in (first, bad, last)] == [
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.COMPLETED,
    ], err
    (report,) = reports(harsh)
    assert report["type"] == kind
    assert said in report["value"]
    assert report["req_vars"]["job_id"] == bad
    row = harsh.row(bad)
    assert row.oops_id == report["id"]
    assert row.attempt_count == 1
    assert row.crash_count == 0
    ran_in = processes(harsh)
    assert set(ran_in) == {first, last}  # what the bad one wrote was rolled back
    assert ran_in[first] != ran_in[last], "the process of a job that failed has run another one"
    assert not any(is_alive(number) for number in ran_in.values())
    assert "INFO    Ran 2 HarshJob jobs." in err
    assert "INFO    1 HarshJob jobs did not complete." in err
    ((*counts, waited, ran),) = harsh.query("SELECT completed, incomplete, oopses, waited, ran FROM jobcron_run")
    assert counts == [2, 1, 1]
    assert waited > 0
    assert ran > 0


@pytest.mark.feature("LP-24")
def test_the_last_words_of_a_process_are_in_its_report(harsh: Instance) -> None:
    make(harsh, "leave", "die")
    harsh.command("run", "harsh")
    texts = sorted("\n".join(report["tb_text"]) for report in reports(harsh))
    assert any("these were its last words" in text for text in texts)
    assert any("do_die" in text for text in texts)  # faulthandler's traceback


@pytest.mark.feature("LP-23", "LP-24")
def test_work_that_was_committed_before_its_process_died_is_completed(harsh: Instance) -> None:
    job, after = make(harsh, "die_after_the_commit", "well")
    _, err = harsh.command("run", "harsh")
    assert [harsh.row(number).status for number in (job, after)] == [JobStatus.COMPLETED] * 2
    assert sorted(processes(harsh)) == [job, after]
    assert reports(harsh) == []
    assert "INFO    Ran 2 HarshJob jobs." in err
    assert "did not complete" not in err


@pytest.mark.feature("LP-24")
def test_jobs_that_complete_share_a_process(harsh: Instance) -> None:
    make(harsh, "well", "well", "well")
    harsh.command("run", "harsh")
    numbers = set(processes(harsh).values())
    assert len(numbers) == 1
    assert os.getpid() not in numbers


@pytest.mark.feature("LP-24")
def test_the_parent_holds_nothing_in_the_database_while_a_job_runs_whose_limit_it_asked_for(
    harsh: Instance,
) -> None:
    (job,) = make(harsh, "ask_for_the_limit")
    harsh.run("harsh")
    assert harsh.row(job).status is JobStatus.COMPLETED
    assert harsh.events(job) == []


@pytest.mark.feature("LP-24")
def test_what_a_job_prints_goes_to_the_log_and_never_to_standard_output(harsh: Instance) -> None:
    (job,) = make(harsh, "print_a_little")
    out, err = harsh.command("run", "harsh")
    assert out == ""
    assert ": a line\n" in err
    assert ": another line\\x1b[31m\n" in err
    assert harsh.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-24")
def test_a_job_that_the_kernel_kills_because_memory_has_run_out_fails_and_the_others_are_run(
    harsh: Instance, memory_group: Path
) -> None:
    bad, after = make(harsh, "run_out_of_memory", "well", path=str(memory_group))
    harsh.run("harsh")
    assert [harsh.row(job).status for job in (bad, after)] == [JobStatus.FAILED, JobStatus.COMPLETED]
    (report,) = reports(harsh)
    assert report["type"] == "ProcessDied"
    assert "killed by SIGKILL, perhaps by the kernel because memory had run out" in report["value"]
    assert set(processes(harsh)) == {after}


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """Return the directory of a control group whose processes get 200 MB of memory, where one can be made."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        mounted, key = ("memory", "memory.limit_in_bytes") if controllers == "memory" else ("", "memory.max")
        if controllers in ("", "memory"):
            path = Path("/sys/fs/cgroup", mounted, group.lstrip("/"), f"jobcron-test-{os.getpid()}")
            with suppress(OSError):
                path.mkdir()
                try:
                    if (path / key).exists():
                        (path / key).write_text(str(200 * misbehavingapp.MEGABYTE))
                        yield path
                        return
                finally:
                    path.rmdir()
    pytest.skip("no control group can be made here; a process that is sent SIGKILL stands for it")


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_several_workers_run_at_once(harsh: Instance, tmp_path: Path) -> None:
    configure(harsh, workers=3)
    jobs = make(harsh, *["well"] * 12)
    harsh.command("run", "harsh")
    assert {harsh.row(job).status for job in jobs} == {JobStatus.COMPLETED}
    assert sorted(processes(harsh)) == sorted(jobs)
    assert 2 <= len(set(processes(harsh).values())) <= 3


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_several_workers_are_refused_on_sqlite(harsh: Instance) -> None:
    configure(harsh, workers=2)
    _, err = harsh.command("run", "harsh", expect=2)
    assert "section [harsh], key max_workers: expected 1 for an SQLite database" in err


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize(
    ("in_the_child", "messages"),
    [
        ("refuse()", ["did not begin to work", "RuntimeError: not in a child"]),
        (
            "misbehavingapp.HarshJob.contextManager = staticmethod(refuse)",
            ["did not begin to work", "RuntimeError: not in a child"],
        ),
        (
            "misbehavingapp.HarshJob.load = lambda *arguments: os._exit(7)",
            ["did not begin to work", "left with status 7"],
        ),
        (
            "misbehavingapp.HarshJob.load = refuse_for_the_database",
            ["no more jobs could be claimed: the database was busy"],
        ),
    ],
    ids=["application", "context", "death", "database"],
)
def test_a_process_that_cannot_begin_ends_the_run_with_its_reason_and_costs_no_job(
    harsh: Instance, in_the_child: str, messages: list[str]
) -> None:
    (job,) = make(harsh, "well")
    well = be_twofaced(harsh, in_the_child)
    _, err = harsh.command("run", "harsh", expect=1, timeout=60)
    assert [message for message in messages if message not in err] == []
    assert "OOPS" not in err
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.WAITING, 0, 0)
    (harsh.path / "jobcron.conf").write_text(well)
    harsh.command("run", "harsh")
    assert harsh.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-24")
def test_a_machine_without_room_for_a_process_ends_the_run_and_costs_no_job(
    harsh: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make(harsh, "well")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    open_files = set()
    with monkeypatch.context() as patch:
        patch.setattr("jobcron.runner.isolated._child.subprocess.Popen", refuse)
        for _ in range(2):
            with pytest.raises(ProcessNotStarted, match="could not be started: .* temporarily unavailable"):
                harsh.run("harsh")
            open_files.add(len(os.listdir("/proc/self/fd")))
    assert len(open_files) == 1
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.WAITING, 0, 0)
    harsh.run("harsh")
    assert harsh.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-23", "LP-24")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("lacking", "first", "status"),
    [("claim", "well", JobStatus.WAITING), ("settled", "die", JobStatus.RUNNING)],
)
def test_trouble_of_the_parent_s_ends_the_run_when_the_jobs_that_run_have_ended(
    harsh: Instance, monkeypatch: pytest.MonkeyPatch, lacking: str, first: str, status: JobStatus
) -> None:
    configure(harsh, workers=2)
    slow, other = make(harsh, "take_a_while", first)

    def refuse(*arguments: Any) -> None:
        raise DatabaseUnavailable("away for lunch")

    name = "claim" if harsh.database.dialect == "sqlite" else "claim_in_line"
    claims = getattr(type_feed, name)

    def claim_once(*arguments: Any) -> Any:
        monkeypatch.setattr(type_feed, name, refuse)
        return claims(*arguments)

    if lacking == "claim":
        monkeypatch.setattr(type_feed, name, claim_once)
    else:
        monkeypatch.setattr("jobcron.runner.isolated._deaths.settled", refuse)
    with pytest.raises(DatabaseUnavailable, match="away for lunch"):
        harsh.run("harsh")
    assert harsh.row(slow).status is JobStatus.COMPLETED
    assert harsh.row(other).status is status


def be_twofaced(instance: Instance, in_the_child: str) -> str:
    """Let the application do something else in child processes; return the configuration as it was."""
    (instance.path / "twofaced.py").write_text(
        "import os, sys\nimport misbehavingapp\nfrom sqlalchemy.exc import OperationalError\n"
        "from jobcron.database.trouble import Interruption\n"
        "def refuse():\n    raise RuntimeError('not in a child')\n"
        "def refuse_for_the_database(*arguments):\n    error = OperationalError('', {}, Exception())\n"
        "    error.jobcron_interruption = Interruption.BUSY\n    raise error\n"
        f"if 'jobcron.runner.isolated' in sys.orig_argv:\n    {in_the_child}\n"
    )
    conf = instance.path / "jobcron.conf"
    well = conf.read_text()
    conf.write_text(
        well.replace("application: misbehavingapp", "application: twofaced").replace(
            "python_path: ", f"python_path: {instance.path} "
        )
    )
    return well


@pytest.mark.feature("LP-15", "LP-24")
def test_in_a_test_s_own_transaction_jobs_run_in_the_test_s_process(harsh: Instance) -> None:
    with harsh.database.session() as session, use_session(session):
        job = misbehavingapp.HarshJob.create(do="well")
        script = JobCronScript(test_args=["harsh", "--config", str(harsh.path)], commandline_config=True)
        script.logger = BufferLogger()
        script.main()
        assert job.status is JobStatus.COMPLETED
        session.rollback()
    assert harsh.rows() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_job_changed_in_its_process_is_put_back_before_the_next_one_in_it(
    harsh: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = make(harsh, "upset_the_process", "expect_a_good_process")
    _, log = harsh.command("run", "harsh")
    assert [row.status for row in harsh.rows()] == [JobStatus.COMPLETED] * 2
    assert len(set(processes(harsh).values())) == 1
    assert f"HarshJob (ID {first}) left behind 1 thread that still runs: a poller" in log
    assert "this is heard" in log
