"""How long a run goes on, where its time goes, and how far it is."""

from __future__ import annotations

import os
import pstats
import pty
import re
import subprocess
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from paths import JOBCRON

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def with_max_runtime(instance: Instance, max_runtime: str, section: str = "act", source: str = "ActJob") -> None:
    """Let the section have a max_runtime."""
    instance.configure(
        sections=f"[{section}]\nsource_interface: fooapp.{source}\nmax_runtime: {max_runtime}\nbatch_size: 50\n"
    )


@pytest.mark.feature("LP-17")
def test_a_run_starts_nothing_that_will_not_end_in_time(instance: Instance) -> None:
    with_max_runtime(instance, "2s")
    jobs = [instance.act(("sleep", 0.8), ("write", "x")) for _ in range(5)]
    log = instance.run("act")
    assert re.search(
        r"INFO    Another job may not end within max_runtime, 2 seconds, of which 1\.[6-9] are over: "
        r"what is left waits for the next run\.",
        log,
    )
    statuses = [instance.row(job).status for job in jobs]
    assert statuses == [JobStatus.COMPLETED] * 2 + [JobStatus.WAITING] * 3
    assert [instance.row(job).attempt_count for job in jobs] == [1, 1, 0, 0, 0]
    instance.run("act")
    assert [instance.row(job).status for job in jobs].count(JobStatus.COMPLETED) == 4


@pytest.mark.feature("LP-17")
def test_what_was_claimed_and_not_started_goes_back(instance: Instance) -> None:
    with_max_runtime(instance, "1s")
    quick = [instance.act(("write", "x")) for _ in range(5)]
    slow = [instance.act(("sleep", 1.1), ("write", "x")) for _ in range(5)]
    log = instance.run("act")
    assert "Another job may not end" in log
    assert {instance.row(job).status for job in quick} == {JobStatus.COMPLETED}
    statuses = [instance.row(job).status for job in slow]
    assert statuses == [JobStatus.COMPLETED] + [JobStatus.WAITING] * 4
    assert [instance.row(job).attempt_count for job in slow[1:]] == [0] * 4


@pytest.mark.feature("LP-17")
def test_jobs_that_take_longer_than_a_run_may_are_run_one_by_one(instance: Instance) -> None:
    with_max_runtime(instance, "0.01s")
    jobs = [instance.act(("sleep", 0.1), ("write", "x")) for _ in range(2)]
    for done in (1, 2):
        instance.run("act")
        assert [instance.row(job).status for job in jobs].count(JobStatus.COMPLETED) == done


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("runner_class", ["JobRunner", "ProcessJobRunner"])
def test_what_jobs_took_in_earlier_runs_counts_before_this_one_knows_better(
    instance: Instance, runner_class: str
) -> None:
    instance.act(("sleep", 2))
    instance.run("act")
    with_max_runtime(instance, f"1s\nrunner_class: {runner_class}")
    jobs = [instance.act(("write", "x")) for _ in range(2)]
    assert "Another job may not end within max_runtime" in instance.run("act")
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.WAITING]


@pytest.mark.feature("LP-17")
@on_sqlite
def test_without_max_runtime_nothing_is_left(instance: Instance) -> None:
    jobs = [instance.act(("sleep", 0.1)) for _ in range(3)]
    assert "max_runtime" not in instance.run("act")
    assert {instance.row(job).status for job in jobs} == {JobStatus.COMPLETED}


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_profile_says_where_the_time_goes(instance: Instance, tmp_path: Path) -> None:
    instance.act(("write", "x"))
    path = tmp_path / "run.profile"
    path.write_text("an old one, " * 100_000)
    instance.command("run", "act", "--profile", str(path))
    functions = {name for _, _, name in pstats.Stats(str(path)).stats}  # type: ignore[attr-defined]
    assert {"run_section", "act_write"} <= functions


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_run_that_fails_leaves_its_profile_as_well(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "run.profile"
    instance.configure(sections="[act]\nsource_interface: fooapp.NoSuchJob\n")
    _, err = instance.command("run", "act", "--profile", str(path), expect=2)
    assert "expected NoSuchJob in fooapp" in err
    assert pstats.Stats(str(path)).total_calls > 0  # type: ignore[attr-defined]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.feature("LP-35")
@pytest.mark.parametrize("wrong", ["folder", "missing", "link", "pipe", "nul"])
@on_sqlite
def test_a_profile_that_cannot_be_written_is_refused_before_the_run(
    instance: Instance, tmp_path: Path, wrong: str
) -> None:
    job = instance.act(("write", "x"))
    path = tmp_path / "run.profile"
    match wrong:
        case "folder":
            path.mkdir()
        case "missing":
            path = path / "deeper"
        case "link":
            (tmp_path / "target").touch()
            path.symlink_to(tmp_path / "target")
        case "pipe":
            os.mkfifo(path)
    name = "" if wrong == "nul" else str(path)
    _, err = instance.command("run", "act", "--profile", name, expect=2)
    assert f"error: argument --profile: expected a file that can be written, got: {name!r}" in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_disk_that_is_full_costs_the_profile_and_no_job(instance: Instance) -> None:
    job = instance.act(("write", "x"))
    _, err = instance.command("run", "act", "--profile", "/dev/full")
    assert "WARNING The profile could not be written: " in err
    assert instance.row(job).status is JobStatus.COMPLETED


def on_terminal(instance: Instance, *arguments: str, term: str = "xterm") -> str:
    """Run a section with its standard error on a terminal; return what was written there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path), "TERM": term}
    child = subprocess.Popen([JOBCRON, "run", *arguments], env=environment, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 10_000)
        except OSError:  # the terminal has no other end any more
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert child.wait(timeout=60) == 0
    return written.decode()


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_long_run_shows_on_a_terminal_how_far_it_is(instance: Instance) -> None:
    for _ in range(8):
        instance.act(("sleep", 0.4), ("write", "x"))
    instance.act(("raise", "value"))
    text = on_terminal(instance, "act")
    lines = re.findall("\x1b\\[K([^\r\n]*)\r(?!\n)", text)
    shown = [line for line in lines if line]
    assert 2 <= len(shown) <= 4
    for line in shown:
        assert re.fullmatch(r"\d jobs completed, [01] did not, \d\.\d a second", line)
    assert lines[-1] == ""  # it leaves nothing behind
    rest = re.sub("\x1b\\[K[^\r\n]*\r(?!\n)", "", text)
    assert re.findall(r"INFO    .*?\r\n", rest)[-1] == "INFO    1 ActJob jobs did not complete.\r\n"
    assert "\x1b" not in rest


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("how", ["dumb", "quiet", "no terminal", "short"])
@on_sqlite
def test_nobody_else_sees_how_far_a_run_is(instance: Instance, how: str) -> None:
    for _ in range(3):
        instance.act(("sleep", 0.1 if how == "short" else 0.6))
    match how:
        case "dumb":
            text = on_terminal(instance, "act", term="dumb")
        case "quiet":
            text = on_terminal(instance, "act", "-q")
        case "short":
            text = on_terminal(instance, "act")
        case _:
            _, text = instance.command("run", "act", extra_env={"TERM": "xterm"})
    assert "jobs completed" not in text
    assert "\x1b" not in text


@pytest.mark.feature("LP-24")
def test_isolated_jobs_obey_max_runtime_as_well(instance: Instance) -> None:
    with_max_runtime(instance, "1s")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("max_runtime", "runner_class: ProcessJobRunner\nmax_runtime"))
    jobs = [instance.act(("sleep", 1.1), ("write", "x")) for _ in range(2)]
    log = instance.run("act")
    assert log.count("Another job may not end") == 1
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.WAITING]
