"""A worker stays, and runs the jobs of its sections as soon as they are ready."""

from __future__ import annotations

import os
import signal
import socket
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

import fooapp
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.worker._failures import MOST_TRIES
from runner_processes import make
from shortleaseapp import BusyJob
from worker_processes import SOON, eventually, is_completed, worker

SECTIONS = """
[do_foo]
source_interface: fooapp.IDoFooJobSource
[act]
source_interface: fooapp.IActJobSource
"""


@pytest.fixture
def shop(instance: Instance) -> Instance:
    """Return an instance with two sections."""
    instance.configure(sections=SECTIONS)
    return instance


@pytest.mark.feature("DBQ-05")
def test_jobs_run_as_they_come_and_sigterm_ends_it_with_status_0(shop: Instance) -> None:
    path = shop.path / "who"
    with worker(shop, "act") as running:
        for number in range(4):
            job = shop.act(("touch", str(path)), ("write", str(number)))
            eventually(is_completed(shop, job))
        assert running.stop() == 0
    assert [note for _, _, note in shop.ledger()] == ["0", "1", "2", "3"]
    processes = [line.split()[0] for line in path.read_text().splitlines()]
    assert len(set(processes)) < len(processes), "a process waits for more work"
    assert "ERROR" not in running.log.read_text()


def test_until_empty_runs_the_jobs_of_all_sections_and_leaves(shop: Instance) -> None:
    job = shop.act(("write", "act"))
    _, log = shop.command("worker", "--until-empty", "--poll", "0.1")
    assert is_completed(shop, job)()
    assert "Ran 1 ActJob jobs." in log
    ((waited, ran),) = shop.query("SELECT waited, ran FROM jobcron_run WHERE name = 'act'")
    assert waited >= 0
    assert ran > 0


def test_until_empty_leaves_at_once_where_there_is_nothing_to_do(shop: Instance) -> None:
    for _ in range(2):  # the first one runs the sections, which have never run
        shop.command("worker", "--until-empty", "--poll", "0.1", timeout=30)


def test_until_empty_does_not_leave_while_a_section_pauses_after_deaths(shop: Instance) -> None:
    deaths = [("exit_once", str(shop.path / name)) for name in ("first", "second")]
    jobs = [shop.act(*deaths, ("write", "survived")), shop.act(("write", "act"))]
    _, log = shop.command("worker", "--until-empty", "--poll", "60")
    assert log.count("left in the middle") == 2
    assert is_completed(shop, *jobs)()


def test_until_empty_leaves_with_1_when_a_section_fails_for_good(shop: Instance) -> None:
    failing = "[telling]\nsource_interface: fooapp.TellingJob\nrunner_class: erringapp.BrokenRunner\n"
    shop.configure(sections=f"{SECTIONS}[broken]\nsource_interface: fooapp.NoSuchJob\n{failing}")
    job = shop.act(("write", "act"))
    _, log = shop.command("worker", "--until-empty", "--poll", "60", expect=1)
    assert is_completed(shop, job)()
    assert log.count("section [broken], key source_interface") == 1, "it has to be mended first"
    assert log.count("Unhandled exception") == MOST_TRIES


def test_only_the_named_sections_are_run(shop: Instance) -> None:
    job = shop.act(("write", "act"))
    shop.command("worker", "do_foo", "--until-empty", "--poll", "0.1")
    assert shop.row(job).status is JobStatus.WAITING


@pytest.mark.feature("OCQ-07")
def test_the_job_of_a_killed_process_runs_again_at_once(shop: Instance) -> None:
    begun, go = shop.path / "begun", shop.path / "go"
    job = shop.act(("touch", str(begun)), ("wait_for", str(go)), ("write", "done"))
    with worker(shop) as running:
        eventually(begun.exists)
        os.kill(int(begun.read_text().split()[0]), signal.SIGKILL)
        killed_at = time.monotonic()
        go.touch()
        eventually(is_completed(shop, job))
        assert time.monotonic() - killed_at < 60, "long before its lease, of five minutes, is over"
        assert shop.row(job).crash_count == 1
        assert running.stop() == 0
    assert "killed by signal 9" in running.log.read_text()


@pytest.mark.parametrize("runner", ["JobRunner", "ProcessJobRunner"])
def test_a_long_job_after_a_death_is_no_failure_for_which_it_gives_up(shop: Instance, runner: str) -> None:
    shop.configure(sections=f"{SECTIONS}runner_class: {runner}\n")
    begun, go = shop.path / "begun", shop.path / "go"
    job = shop.act(("touch", str(begun)), ("wait_for", str(go)))
    with worker(shop, "act", "--give-up", "4") as running:
        eventually(begun.exists)
        (child,) = running.children()
        os.kill(child, signal.SIGKILL)
        eventually(lambda: len(begun.read_text().splitlines()) == 2)
        time.sleep(5)
        go.touch()
        eventually(is_completed(shop, job))
        assert running.stop() == 0
    assert "sections have failed" not in running.log.read_text()


@pytest.mark.parametrize("runner", ["JobRunner", "ProcessJobRunner"])
def test_a_fork_of_a_jobs_fork_keeps_its_files(shop: Instance, runner: str) -> None:
    shop.configure(sections=f"{SECTIONS}runner_class: {runner}\n")
    job = shop.act(("fork_twice", str(shop.path / "told")))
    shop.command("worker", "act", "--until-empty", "--poll", "0.1")
    assert is_completed(shop, job)()
    assert (shop.path / "told").read_text() == "50 0"


@pytest.mark.feature("DBQ-05")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("options", [("--processes", "3"), ()])
def test_several_processes_run_jobs_of_one_section_at_once(shop: Instance, options: tuple[str, ...]) -> None:
    if not options:
        shop.configure(sections=SECTIONS.replace("[act]\n", "[act]\nmax_workers: 3\n"))
    go = shop.path / "go"
    jobs = [shop.act(("touch", str(shop.path / str(n))), ("wait_for", str(go))) for n in range(3)]
    with worker(shop, *options) as running:
        eventually(lambda: all((shop.path / str(n)).exists() for n in range(3)))
        assert len(running.children()) == 3
        go.touch()
        eventually(is_completed(shop, *jobs))
        assert running.stop() == 0


def test_a_section_without_end_leaves_room_for_the_others(shop: Instance) -> None:
    for _ in range(40):
        shop.act(("sleep", 1))
    with shop.session() as session:
        other = int(fooapp.DoFooJob.create(shop.foo(session), session=session).job.id)
    with worker(shop):
        eventually(is_completed(shop, other))
        waiting = shop.query("SELECT count(*) FROM jobcron_job WHERE status = 0")[0][0]
    assert waiting > 10, "the other section did not wait for the end of the first"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_long_job_does_not_keep_other_sections_from_making_room(shop: Instance) -> None:
    shop.configure(sections=f"{SECTIONS}[long]\nsource_interface: shortleaseapp.BusyJob\n")
    begun, go = shop.path / "begun", shop.path / "go"
    make(shop, BusyJob, ("touch", str(begun)), ("wait_for", str(go)))
    with worker(shop, "--processes", "2"):
        eventually(begun.exists)
        first, *_ = [shop.act(("sleep", 1)) for _ in range(60)]
        eventually(is_completed(shop, first))
        with shop.session() as session:
            other = int(fooapp.DoFooJob.create(shop.foo(session), session=session).job.id)
        eventually(is_completed(shop, other))
        waiting = shop.query("SELECT count(*) FROM jobcron_job WHERE status = 0")[0][0]
        go.touch()
    assert waiting > 10, "the other section did not wait for the end of the others"


@pytest.mark.feature("DBQ-05")
def test_sigterm_lets_the_running_job_end(shop: Instance) -> None:
    begun, stopping = shop.path / "begun", shop.path / "stopping"
    job = shop.act(("touch", str(begun)), ("wait_for_stop", str(stopping)), ("write", "done"))
    waiting = shop.act(("write", "not begun"))
    with worker(shop) as running:
        eventually(begun.exists)
        assert running.stop() == 0
    assert is_completed(shop, job)()
    assert shop.row(waiting).status is JobStatus.WAITING


def test_the_processes_of_a_killed_worker_end_their_jobs_and_leave(shop: Instance) -> None:
    begun, go = shop.path / "begun", shop.path / "go"
    job = shop.act(("touch", str(begun)), ("wait_for", str(go)), ("write", "done"))
    with worker(shop) as running:
        eventually(begun.exists)
        (child,) = running.children()
        assert f":{child}/" in str(shop.row(job).claimed_by), "who looks for the job's process finds it"
        running.process.kill()
        running.process.wait()
        lock = RunLock(str(shop.state / "locks"), "act")
        _, log = shop.command("run", "act", expect=3)
        assert "is held by" in log
        go.touch()
        eventually(lambda: not Path(f"/proc/{child}").exists())
    assert is_completed(shop, job)()
    assert len(shop.ledger(job)) == 1
    lock.acquire()
    lock.release()


def test_a_section_that_another_program_runs_is_left_alone_until_that_ends(shop: Instance) -> None:
    begun, go = shop.path / "begun", shop.path / "go"
    held = shop.act(("touch", str(begun)), ("wait_for", str(go)))
    other = shop.start("act")
    eventually(begun.exists)
    job = shop.act(("write", "after"))
    with worker(shop) as running:
        eventually(lambda: "act waits: the lock" in running.log.read_text())
        go.touch()
        assert other.wait() == 0
        eventually(is_completed(shop, held, job))


def test_a_process_is_replaced_after_so_many_jobs(shop: Instance) -> None:
    path = shop.path / "who"
    jobs = [shop.act(("touch", str(path))) for _ in range(4)]
    with worker(shop, "--max-jobs", "2"):
        eventually(is_completed(shop, *jobs))
    assert len({line.split()[0] for line in path.read_text().splitlines()}) == 2


def test_a_broken_section_does_not_stop_the_others(shop: Instance) -> None:
    shop.configure(sections=SECTIONS + "[broken]\nsource_interface: fooapp.NoSuchJob\n")
    job = shop.act(("write", "act"))
    with worker(shop) as running:
        eventually(is_completed(shop, job))
        eventually(lambda: "section [broken], key source_interface" in running.log.read_text())
        assert running.stop() == 0


def test_one_broken_section_is_no_reason_to_give_up(shop: Instance) -> None:
    shop.configure(sections=SECTIONS + "[broken]\nsource_interface: fooapp.NoSuchJob\n")
    with worker(shop, "--give-up", "1") as running:
        eventually(lambda: running.log.exists() and running.log.read_text().count("section [broken], key") > 1)
        time.sleep(1.5)
        job = shop.act(("write", "act"))
        eventually(is_completed(shop, job))
        assert running.stop() == 0


@pytest.mark.parametrize("kind", ["directory", "symbolic link"])
def test_a_lock_file_that_cannot_be_used_stops_its_section_only_until_it_is_mended(
    shop: Instance, kind: str
) -> None:
    path = shop.state / "locks" / "act.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir() if kind == "directory" else path.symlink_to("elsewhere")
    act = shop.act(("write", "act"))
    with shop.session() as session:
        foo = int(fooapp.DoFooJob.create(shop.foo(session), session=session).job.id)
    with worker(shop) as running:
        eventually(is_completed(shop, foo))
        time.sleep(2)  # it has tried again
        path.rmdir() if kind == "directory" else path.unlink()
        eventually(is_completed(shop, act))
        assert running.stop() == 0
    assert running.log.read_text().count("act: expected the lock file ") == 1
    assert "Traceback" not in running.log.read_text()


def test_a_lock_directory_that_cannot_be_used_is_told_at_once(shop: Instance, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shop.configure(f"lock_dir: {tmp_path}/file", SECTIONS)
    _, log = shop.command("worker", expect=1, timeout=60)
    assert "key lock_dir: expected the lock directory" in log


def test_a_section_that_is_switched_off_is_left_alone(shop: Instance, tmp_path: Path) -> None:
    control = tmp_path / "control.conf"
    control.write_text("[act]\nenabled: false\n")
    control.chmod(0o600)
    shop.configure(f"cron_control: file://{control}", SECTIONS)
    job = shop.act(("write", "act"))
    shop.command("worker", "--until-empty", "--poll", "0.1")
    assert shop.row(job).status is JobStatus.WAITING
    control.write_text("[act]\nenabled: true\n")
    shop.command("worker", "--until-empty", "--poll", "0.1")
    assert is_completed(shop, job)()


@pytest.mark.feature("DBQ-05")
def test_the_rate_is_limited(shop: Instance) -> None:
    jobs = [shop.act(("write", str(n))) for n in range(3)]
    began = time.monotonic()
    shop.command("worker", "--until-empty", "--poll", "0.1", "--rate_limit", "0.7")
    assert is_completed(shop, *jobs)()
    assert time.monotonic() - began > 1.4


def test_the_rate_holds_over_the_sections_and_processes_of_a_worker(shop: Instance) -> None:
    path = shop.path / "starts"
    for number in range(3):
        shop.act(("touch", str(path)), priority=number)
    with shop.session() as session:
        fooapp.DoFooJob.create(shop.foo(session), session=session)
    shop.command("worker", "--until-empty", "--poll", "0.1", "--rate-limit", "1", "--processes", "2")
    starts = [at for (at,) in shop.query("SELECT date_started FROM jobcron_job ORDER BY date_started")]
    times = [at if isinstance(at, datetime) else datetime.fromisoformat(at) for at in starts]
    assert len(times) == 4
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert min(gaps) > 0.9, gaps


def test_a_rate_that_a_runner_cannot_keep_is_refused(shop: Instance) -> None:
    shop.configure(sections=SECTIONS + "runner_class: ProcessJobRunner\n")
    _, log = shop.command("worker", "--rate-limit", "1", expect=2)
    assert "section [act], key runner_class: expected JobRunner for --rate-limit, got: ProcessJobRunner" in log


def test_a_worker_that_is_to_leave_starts_no_job_ahead_of_its_rate(shop: Instance) -> None:
    jobs = [shop.act(("write", str(n))) for n in range(3)]
    shop.command("worker", "--max-runtime", "5", "--poll", "0.1", "--rate-limit", "600")
    statuses = sorted(shop.row(job).status for job in jobs)
    assert statuses == [JobStatus.WAITING, JobStatus.WAITING, JobStatus.COMPLETED]


def test_a_job_that_leaves_its_process_with_status_0_runs_again_at_once(shop: Instance) -> None:
    job = shop.act(("exit_once", str(shop.path / "left")), ("write", "done"))
    with worker(shop, "act") as running:
        eventually(is_completed(shop, job))
        assert running.stop() == 0
    assert shop.row(job).crash_count == 1
    assert "left in the middle, with status 0" in running.log.read_text()


def test_it_leaves_with_1_when_the_database_stays_away(shop: Instance) -> None:
    shop.configure(sections=SECTIONS)
    text = (shop.path / "jobcron.conf").read_text()
    away = "postgresql://nobody@127.0.0.1:1/none"
    (shop.path / "jobcron.conf").write_text(text.replace(shop.url, away))
    _, log = shop.command("worker", "--give-up", "1", "--poll", "0.1", expect=1)
    assert "All sections have failed for 1 s: the worker leaves." in log


def test_max_runtime_ends_it_however_rare_its_looks_are(shop: Instance) -> None:
    _, log = shop.command("worker", "--max-runtime", "0.5", "--poll", "3600")
    assert "as --max-runtime says" in log


def test_systemd_hears_that_it_is_alive_also_between_two_rare_looks(shop: Instance, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(SOON)
        expected = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        with worker(shop, "act", "--poll", "3600", **expected) as running:
            assert systemd.recv(100) == b"READY=1"
            began = time.monotonic()
            assert [systemd.recv(100) for _ in range(4)] == [b"WATCHDOG=1"] * 4
            assert time.monotonic() - began < 30
            assert running.stop() == 0
        assert systemd.recv(100) == b"STOPPING=1"


@pytest.mark.feature("DBQ-05")
def test_a_dry_run_only_says_which_sections_have_work(shop: Instance) -> None:
    shop.command("worker", "--until-empty", "--poll", "0.1")
    job = shop.act(("write", "act"))
    out, _ = shop.command("worker", "--dry-run")
    assert out == "act\thas work\ndo_foo\tnothing to do\n"
    assert shop.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_dry_run_that_cannot_look_says_so(shop: Instance) -> None:
    (shop.path / "jobcron.conf").write_text(
        (shop.path / "jobcron.conf").read_text().replace("database_url: sqlite:///", "database_url: sqlite:///no")
    )
    out, log = shop.command("worker", "--dry-run", expect=1)
    assert out == ""
    assert "is not there; `jobcron upgrade` makes it" in log


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nobody"], "nobody"),
        (["--processes", "0"], "expected a whole number from 1 to 64, got: '0'"),
        (["--poll", "soon"], "expected a number from 0.01 to 3600, got: 'soon'"),
        (["--rate-limit", "nan"], "expected a number from 0 to 86400, got: 'nan'"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(shop: Instance, arguments: list[str], expected: str) -> None:
    _, log = shop.command("worker", *arguments, expect=2)
    assert expected in log
    assert "Traceback" not in log


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_where_the_database_notifies_a_job_starts_long_before_the_next_look(shop: Instance) -> None:
    shop.configure("notify: true", SECTIONS)
    assert "the database now notifies workers of new jobs, as the key notify says" in shop.command("upgrade")[0]
    assert "notif" not in shop.command("upgrade")[0], "once"
    with worker(shop, "act", "--poll", "60") as running:
        eventually(lambda: running.log.exists() and "The worker runs act" in running.log.read_text())
        time.sleep(1)  # it has looked, and found nothing
        began = time.monotonic()
        first = shop.act(("write", "created"))
        eventually(is_completed(shop, first))
        assert running.stop() == 0
    assert time.monotonic() - began < 30
    shop.configure("notify: false", SECTIONS)
    assert "the database no longer notifies workers of new jobs" in shop.command("upgrade")[0]
    assert shop.query("SELECT 1 FROM pg_trigger WHERE tgname LIKE 'jobcron_notify%'") == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_connection_for_notifications_is_opened_again(shop: Instance) -> None:
    shop.configure("notify: true", SECTIONS)
    shop.command("upgrade")
    with worker(shop, "act", "--poll", "0.2") as running:
        listening = (
            "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN jobcron' AND datname = current_database()"
        )
        ((pid,),) = wait_until(lambda: shop.query(listening), "the worker to listen")
        shop.query("SELECT pg_terminate_backend(:pid)", pid=pid)
        wait_until(lambda: shop.query(listening) not in ([], [(pid,)]), "it to listen again", SOON)
        assert running.stop() == 0
    assert "hears no notifications for now" in running.log.read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_cannot_notify_is_told_by_its_key(shop: Instance) -> None:
    shop.configure("notify: true", SECTIONS)
    _, log = shop.command("worker", expect=2)
    assert "section [jobcron], key notify: expected false, as for all databases but PostgreSQL, got: true" in log
