"""What a job changes in its process is put back, and what it leaves behind is told by its name."""

from __future__ import annotations

import contextvars
import decimal
import gc
import io
import locale
import logging
import logging.config
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fooapp import ActJob
from instances import Instance, wait_until
from jobcron import JobStatus, after_commit
from jobcron.reports.logs import LogFile
from jobcron.runner.surroundings.boundary import Surroundings, in_own_context

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="nobody")


@contextmanager
def noted() -> Iterator[Surroundings]:
    """Note the surroundings as they are in a test, not before: pytest sets a variable and an alarm for it."""
    with closing(Surroundings(logging.getLogger(), None)) as surroundings:
        yield surroundings


def answer(*anything: object) -> None:
    """Be a handler or a hook of a job's."""


def change_time_zone() -> None:
    """Live elsewhere, as code does that shows times to users."""
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def lower_limit() -> None:
    """Lower a limit as far as it can be raised again."""
    resource.setrlimit(resource.RLIMIT_CPU, (100_000, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def lose_directory() -> None:
    """Work in a directory, and remove it."""
    folder = Path("lost").absolute()
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


def environment() -> dict[str, str]:
    """Return the environment that child processes get."""
    lines = subprocess.run(["env", "-0"], capture_output=True, text=True, check=True).stdout.split("\0")
    return dict(line.split("=", 1) for line in lines if line)


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "a signal handler": (
        lambda: signal.signal(signal.SIGUSR2, answer),
        lambda: signal.getsignal(signal.SIGUSR2),
    ),
    "an ignored signal": (
        lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGCHLD),
    ),
    "a blocked signal": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM}),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "an alarm": (lambda: signal.alarm(10), lambda: round(signal.getitimer(signal.ITIMER_REAL)[0], -1)),
    "a timer": (
        lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 100, 5),
        lambda: signal.getitimer(signal.ITIMER_VIRTUAL),
    ),
    "the directory": (lambda: os.chdir("/"), os.getcwd),
    "a directory that is gone": (lose_directory, os.getcwd),
    "the umask": (lambda: os.umask(0o777), lambda: [os.umask(0o022), os.umask(0o022)][0]),
    "a new variable": (lambda: os.environ.update(TENANT="1"), lambda: environment().get("TENANT")),
    "a changed variable": (lambda: os.environ.update(HOME="/nowhere"), lambda: environment().get("HOME")),
    "a lost variable": (lambda: os.environ.pop("PATH"), lambda: os.environ.get("PATH")),
    "another environment": (lambda: setattr(os, "environ", {}), lambda: os.environ),
    "the time zone": (change_time_zone, lambda: (time.tzname, time.localtime(0).tm_hour, os.environ.get("TZ"))),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL, "C"), lambda: locale.setlocale(locale.LC_ALL)),
    "a limit": (lower_limit, lambda: resource.getrlimit(resource.RLIMIT_CPU)),
    "standard output": (lambda: setattr(sys, "stdout", io.StringIO()), lambda: sys.stdout),
    "standard error": (lambda: setattr(sys, "stderr", None), lambda: sys.stderr),
    "a hook": (lambda: setattr(sys, "excepthook", answer), lambda: sys.excepthook),
    "a hook of threads": (lambda: setattr(threading, "excepthook", answer), lambda: threading.excepthook),
    "a profile function": (lambda: sys.setprofile(answer), sys.getprofile),
    "filters of warnings": (lambda: warnings.simplefilter("error"), lambda: list(warnings.filters)),
    "no filters": (warnings.resetwarnings, lambda: list(warnings.filters)),
    "captured warnings": (lambda: logging.captureWarnings(True), lambda: warnings.showwarning),
    "the recursion limit": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "the collector of garbage": (gc.disable, gc.isenabled),
    "the timeout of sockets": (lambda: socket.setdefaulttimeout(0.001), socket.getdefaulttimeout),
    "standard output's file": (lambda: os.dup2(os.open("/dev/null", os.O_WRONLY), 1), lambda: os.fstat(1)),
    "standard error's file": (lambda: os.close(2), lambda: os.fstat(2)),
}


@pytest.mark.feature("N-14")
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_job_changed_is_put_back_and_told_only_to_who_asks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    change, read = CHANGES[name]
    before = read()
    with noted() as surroundings:
        surroundings.put_back("A (ID 1)")
        assert caplog.messages == []
        change()
        surroundings.put_back("B (ID 2)")
        assert read() == before
        assert [r.levelname for r in caplog.records if "left behind" not in r.message] == ["DEBUG"]
        assert caplog.messages[0].startswith("Put back after B (ID 2): ")
        caplog.clear()
        surroundings.put_back("C (ID 3)")
        assert caplog.messages == []


def test_a_timer_of_whoever_started_the_run_goes_on() -> None:
    before = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 1000)
    with noted() as surroundings:
        signal.alarm(0)
        surroundings.put_back("A (ID 1)")
    assert 990 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000
    signal.setitimer(signal.ITIMER_REAL, *before)


def test_an_alarm_that_goes_off_at_the_boundary_is_the_last() -> None:
    heard = []

    def ring(number: int, frame: object) -> None:
        heard.append(number)
        raise TimeoutError("of the job")

    with noted() as surroundings:
        signal.signal(signal.SIGVTALRM, ring)
        with suppress(TimeoutError):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.00001, 0.001)
            while not heard:
                pass
        surroundings.put_back("A (ID 1)")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is not ring


def test_what_cannot_be_put_back_is_told_once_by_the_name_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with noted() as surroundings:
        os.chdir("/")
        here.rmdir()
        surroundings.put_back("A (ID 1)")
        surroundings.put_back("B (ID 2)")
    (warning,) = caplog.messages
    assert warning.startswith("A (ID 1) changed what cannot be put back: working directory (FileNotFoundError: ")


def test_a_log_that_a_job_configures_anew_is_the_run_s_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, lib = logging.getLogger(), logging.getLogger("some.package")
    before = root.handlers[:], root.level
    handler = LogFile(str(tmp_path / "logs" / "log"), "--log-file")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        surroundings = Surroundings(root, None)
        logging.config.dictConfig(
            {
                "version": 1,
                "handlers": {"null": {"class": "logging.NullHandler"}},
                "root": {"handlers": ["null"], "level": "CRITICAL"},
            }
        )
        logging.disable(logging.CRITICAL)
        root.warning("this is lost")
        surroundings.put_back("A (ID 1)")
        assert handler in root.handlers
        assert (root.level, lib.disabled, root.manager.disable) == (logging.INFO, False, 0)
        root.warning("this is not")
        logging.getLogger("some.package").setLevel(logging.CRITICAL)
        logging.getLogger("some.package").addHandler(logging.NullHandler())
        handler.setLevel(logging.CRITICAL)
        surroundings.put_back("B (ID 2)")
        lib.warning("nor is this")
        assert lib.handlers == []
        os.close(handler._descriptor)  # as a job does that closes what it has not opened
        root.warning("and this")
        surroundings.close()
    finally:
        root.removeHandler(handler)
        handler.close()
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    lines = (tmp_path / "logs" / "log").read_text().splitlines()
    assert lines == ["this is not", "nor is this", "and this"]
    assert capfd.readouterr().err == ""


def test_a_logger_that_one_job_made_is_put_back_after_another() -> None:
    with noted() as surroundings:
        made = logging.getLogger(f"made.by.a.job.{time.monotonic_ns()}")
        surroundings.put_back("A (ID 1)")
        made.disabled = True
        surroundings.put_back("B (ID 2)")
        assert not made.disabled


def test_a_thread_is_told_once_by_the_name_of_the_job(caplog: pytest.LogCaptureFixture) -> None:
    with noted() as surroundings:
        go = threading.Event()
        thread = threading.Thread(target=go.wait, name="a poller")
        thread.start()
        surroundings.put_back("A (ID 1)")
        surroundings.put_back("B (ID 2)")
        go.set()
        thread.join()
        surroundings.put_back("C (ID 3)")
        assert [(r.levelname, r.message) for r in caplog.records] == [
            ("WARNING", "A (ID 1) left behind 1 thread that still runs: a poller")
        ]


def test_a_child_process_is_told_once_by_the_name_of_the_job(caplog: pytest.LogCaptureFixture) -> None:
    with noted() as surroundings:
        ended = subprocess.Popen(["true"])
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        surroundings.put_back("A (ID 1)")
        with subprocess.Popen(["sleep", "100"]) as child:
            surroundings.put_back("B (ID 2)")
            surroundings.put_back("C (ID 3)")
            child.kill()
        ended.wait()
        texts = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert texts == [f"B (ID 2) left behind 1 child process that still runs: {child.pid} (sleep)"]


def test_files_that_stay_open_are_told_and_many_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with noted() as surroundings:
        kept = [open("/proc/self/status")]  # noqa: SIM115
        surroundings.put_back("A (ID 1)")
        kept += [open("/proc/self/stat") for _ in range(9)]  # noqa: SIM115
        surroundings.put_back("B (ID 2)")
        for file in kept:
            file.close()
        surroundings.put_back("C (ID 3)")
        with open("/proc/self/stat"):
            pass
        surroundings.put_back("D (ID 4)")
        me = f"/proc/{os.getpid()}"
        shown = ", ".join([f"{me}/stat"] * 5)
        assert [(r.levelname, r.message) for r in caplog.records] == [
            ("INFO", f"A (ID 1) left behind 1 file that is still open: {me}/status"),
            (
                "WARNING",
                f"B (ID 2) left behind 9 files that are still open: {shown}, …; this run's jobs have left 10 open",
            ),
        ]


def test_what_is_set_in_a_context_ends_with_it() -> None:
    def work(value: str) -> str:
        VARIABLE.set(value)
        decimal.getcontext().prec = 2
        return str(decimal.Decimal(1) / 3)

    assert in_own_context(work, "tenant 1") == "0.33"
    assert VARIABLE.get() == "nobody"
    assert decimal.getcontext().prec == 28


def do_everything(job: Any) -> None:
    """Leave no part of the process as it was."""
    os.chdir("/")
    os.environ["TENANT"] = "1"
    signal.alarm(1000)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    VARIABLE.set("tenant 1")
    decimal.getcontext().prec = 2
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL"}})
    logging.disable(logging.CRITICAL)
    raise ValueError("and fail")


def state() -> list[object]:
    """Return what a job finds."""
    return [
        os.getcwd(),
        os.environ.get("TENANT"),
        signal.getitimer(signal.ITIMER_REAL)[0] > 500,
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        VARIABLE.get(),
        decimal.getcontext().prec,
        logging.getLogger().manager.disable,
    ]


def test_jobs_find_the_process_as_the_run_began_and_a_failure_is_told(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[object]] = []

    def run(job: Any) -> None:
        found.append(state())
        if job.job.id == 1:
            do_everything(job)

    def notify(job: Any, oops: Any) -> None:
        found.append(state())
        os.environ["TENANT"] = "2"

    monkeypatch.setattr(ActJob, "run", run)
    monkeypatch.setattr(ActJob, "notifyOops", notify)
    before = state()
    job, other = instance.act(), instance.act()
    log = instance.run("act")
    assert f"ActJob (ID {job}) failed" in log or "ValueError" in log
    found[1][4:6] = before[4:6]  # a job's own methods see its context
    assert found == [before, before, before]
    assert state() == before
    assert [instance.row(number).status for number in (job, other)] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert len(instance.oopses()) == 1


def test_what_an_action_after_a_commit_changed_is_put_back_too(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []

    def run(job: Any) -> None:
        found.append(os.environ.get("TENANT"))
        after_commit(job.session, lambda: os.environ.update(TENANT="1"))

    monkeypatch.setattr(ActJob, "run", run)
    instance.act()
    instance.act()
    instance.run("act")
    assert found == [None, None]
    assert "TENANT" not in os.environ


def test_connections_of_pools_that_are_opened_beside_a_job_are_not_told(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.progress = 50
        wait_until(lambda: quick_keeper.row(job.job.id).progress == 50, "the keeper to write")

    monkeypatch.setattr(ActJob, "run", run)
    job = quick_keeper.act()
    quick_keeper.database.close()
    log = quick_keeper.run("act")
    assert quick_keeper.row(job).status is JobStatus.COMPLETED
    assert "left behind" not in log
