"""One worker serves several instances; one that is broken stops no other."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instances import run_jobcron
from several_instances import AWAY, Pair, pair_of_instances
from worker_processes import SOON, RunningWorker, eventually, is_completed, worker


@pytest.fixture
def pair(tmp_path: Path, jobcron_sqlite: str, jobcron_postgresql: str) -> Iterator[Pair]:
    """Return two instances."""
    with pair_of_instances(tmp_path / "srv", jobcron_sqlite, jobcron_postgresql) as made:
        yield made


def said(running: RunningWorker, text: str) -> bool:
    return running.log.exists() and text in running.log.read_text()


def runs_in_both(pair: Pair) -> None:
    lite, post = pair.lite.act(("write", "lite")), pair.post.act(("write", "post"))
    eventually(is_completed(pair.lite, lite))
    eventually(is_completed(pair.post, post))


@pytest.mark.feature("OCQ-08")
def test_the_jobs_of_all_instances_run_and_a_signal_ends_the_whole(pair: Pair) -> None:
    with worker(pair.folder, "--instances", pair.pattern) as running:
        runs_in_both(pair)
        assert len(running.children()) == 2
        begun, go = pair.folder / "begun", pair.folder / "go"
        job = pair.lite.act(("touch", str(begun)), ("wait_for", str(go)), ("write", "done"))
        eventually(begun.exists)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert running.process.poll() is None, "the running job ends first"
        go.touch()
        assert running.process.wait(SOON) == 0
    assert is_completed(pair.lite, job)()
    log = running.log.read_text()
    assert "INFO    lite: The worker runs act." in log
    assert "INFO    post: Ran 1 ActJob jobs." in log
    assert "ERROR" not in log


@pytest.mark.feature("OCQ-08")
def test_an_instance_that_is_broken_away_or_does_not_answer_stops_no_other(pair: Pair) -> None:
    broken = pair.add("broken", "[jobcron]\nnonsense: 1\n")
    pair.add("away")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        pair.add("mute", url=f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/none")
        with worker(pair.folder, "--instances", pair.pattern) as running:
            runs_in_both(pair)
            told = f"broken is not served: {broken}/jobcron.conf, line 2: section [jobcron]: unknown key nonsense"
            assert said(running, told)
            eventually(lambda: said(running, "away: "))
            time.sleep(6)  # it has looked again
            assert running.log.read_text().count(told) == 1
            runs_in_both(pair)
            assert running.stop() == 0


@pytest.mark.feature("OCQ-08")
def test_new_instances_are_found_while_it_runs_and_those_that_are_gone_are_left(pair: Pair) -> None:
    hidden = pair.folder.parent / "hidden"
    (pair.folder / "post").rename(hidden)
    with worker(pair.folder, "--instances", pair.pattern) as running:
        job = pair.lite.act()
        eventually(is_completed(pair.lite, job))
        hidden.rename(pair.folder / "post")
        job = pair.post.act()
        eventually(is_completed(pair.post, job))
        shutil.rmtree(pair.folder / "lite")
        eventually(lambda: said(running, "lite is not there any more."))
        eventually(lambda: len(running.children()) == 1)
        assert running.stop() == 0


@pytest.mark.feature("OCQ-08")
def test_until_empty_leaves_when_all_are_empty_and_says_whether_one_failed(pair: Pair) -> None:
    lite, post = pair.lite.act(), pair.post.act()
    arguments = ["worker", "--instances", pair.pattern, "--until-empty", "--poll", "0.1"]
    run_jobcron(*arguments)
    assert is_completed(pair.lite, lite)()
    assert is_completed(pair.post, post)()
    pair.add("broken", "[jobcron]\n")
    post = pair.post.act()
    _, log = run_jobcron(*arguments, expect=1)
    assert is_completed(pair.post, post)()
    assert "broken is not served: " in log


@pytest.mark.feature("OCQ-08")
def test_it_gives_up_when_all_instances_have_failed_for_long(pair: Pair) -> None:
    arguments = ["worker", "--instances", pair.pattern, "--give-up", "2", "--poll", "0.1"]
    pair.add("away")
    with worker(pair.folder, *arguments[1:]) as running:
        runs_in_both(pair)
        time.sleep(4)
        assert running.process.poll() is None, "one that fails is no reason"
        assert running.stop() == 0
    for instance in (pair.lite, pair.post):
        text = (instance.path / "jobcron.conf").read_text()
        (instance.path / "jobcron.conf").write_text(text.replace(instance.url, AWAY))
    _, log = run_jobcron(*arguments, expect=1)
    assert "All instances have failed for 2 s: the worker leaves." in log


def test_a_worker_of_an_instance_that_dies_is_replaced(pair: Pair) -> None:
    with worker(pair.folder, "--instances", pair.pattern) as running:
        runs_in_both(pair)
        for pid in running.children():
            os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: said(running, "lite: its worker was killed by signal 9; another one is started in 0 s.")
        )
        runs_in_both(pair)
        assert running.stop() == 0


def test_the_workers_of_one_that_was_killed_finish_their_jobs_and_leave(pair: Pair) -> None:
    begun, go = pair.folder / "begun", pair.folder / "go"
    with worker(pair.folder, "--instances", pair.pattern) as running:
        job = pair.post.act(("touch", str(begun)), ("wait_for", str(go)), ("write", "done"))
        eventually(begun.exists)
        children = running.children()
        running.process.kill()
        running.process.wait()
        eventually(lambda: said(running, "post: The process that started this worker has ended: it leaves."))
        go.touch()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert is_completed(pair.post, job)()
    assert len(pair.post.ledger(job)) == 1


@pytest.mark.feature("OCQ-08")
def test_systemd_hears_that_the_whole_is_ready_alive_and_stopping(pair: Pair, tmp_path: Path) -> None:
    pair.add("broken", "[jobcron]\n")
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(SOON)
        expected = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
        with worker(pair.folder, "--instances", pair.pattern, **expected) as running:
            words = [systemd.recv(100)]
            while b"READY=1" not in words:
                words.append(systemd.recv(100))
            assert running.log.read_text().count("The worker runs act.") == 2, "both were at work before"
            assert systemd.recv(100) == b"WATCHDOG=1"
            running.process.send_signal(signal.SIGTERM)
            while (word := systemd.recv(100)) != b"STOPPING=1":
                assert word == b"WATCHDOG=1"
            assert running.process.wait(SOON) == 0


def test_with_a_watchdog_a_worker_that_hangs_is_killed_and_replaced(pair: Pair, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        expected = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with worker(pair.folder, "--instances", pair.pattern, **expected) as running:
            runs_in_both(pair)
            stopped = running.children()[0]
            os.kill(stopped, signal.SIGSTOP)
            eventually(lambda: said(running, "its worker has given no sign of life for 15 s: it is killed."))
            runs_in_both(pair)
            assert stopped not in running.children()
            assert running.stop() == 0


@pytest.mark.feature("OCQ-08")
def test_the_configuration_of_an_instance_may_name_the_others(pair: Pair) -> None:
    pair.lite.configure("instances: ../po*", "[act]\nsource_interface: fooapp.IActJobSource\n")
    with worker(pair.lite) as running:
        runs_in_both(pair)
        assert running.stop() == 0
    assert "lite: The worker runs act." in running.log.read_text()


def test_max_runtime_ends_the_whole(pair: Pair) -> None:
    _, log = run_jobcron("worker", "--instances", pair.pattern, "--max-runtime", "2", "--poll", "0.1")
    assert log.count("as --max-runtime says") == 2


def test_a_dry_run_says_which_sections_of_which_instance_have_work(pair: Pair) -> None:
    run_jobcron("worker", "--instances", pair.pattern, "--until-empty", "--poll", "0.1")
    pair.post.act()
    out, _ = run_jobcron("worker", "--instances", pair.pattern, "--dry-run")
    assert sorted(out.splitlines()) == ["lite\tact\tnothing to do", "post\tact\thas work"]


def test_an_instance_without_the_named_section_is_left_out(pair: Pair) -> None:
    pair.post.configure(sections="[other]\nsource_interface: fooapp.IActJobSource\n")
    lite, post = pair.lite.act(), pair.post.act()
    run_jobcron("worker", "act", "--instances", pair.pattern, "--until-empty", "--poll", "0.1")
    assert is_completed(pair.lite, lite)()
    assert not is_completed(pair.post, post)()
