"""Groups of sections in one script: each a run of its own, none in the way of another."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instances import Instance, wait_until
from jobcron import JobStatus, UserMistake, load_settings
from jobcron.scripts import groups as groups_script
from jobcron.scripts.code_stamp import note_types
from jobcron.scripts.groups import ProcessJobSources
from paths import JOBCRON, ROOT
from script_runs import do_foo

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
SCRIPT = ROOT / "cronscripts" / "process_job_sources.py"

SECTIONS = """
[do_foo]
source_interface: fooapp.IDoFooJobSource
crontab_group: MAIN

[act]
source_interface: fooapp.IActJobSource
crontab_group: MAIN

[telling]
source_interface: fooapp.TellingJob
crontab_group: OTHER

[own_ready]
source_interface: fooapp.OwnReadyJob
"""


@pytest.fixture
def grouped(instance: Instance) -> Instance:
    """Return an instance with two groups and a section without one."""
    instance.configure(sections=SECTIONS)
    return instance


def process(instance: Instance, *arguments: str, expect: int = 0) -> str:
    """Run groups in a process of their own; return what was said."""
    out, err = instance.command("process-job-sources", *arguments, expect=expect)
    assert out == ""
    assert "Traceback" not in err
    return err


def start(instance: Instance, *arguments: str) -> subprocess.Popen[str]:
    """Start groups in a process of their own; its standard error is a pipe."""
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    command = [str(JOBCRON), "process-job-sources", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def runs(instance: Instance) -> list[str]:
    """Return the names of the run rows."""
    return [name for (name,) in instance.query("SELECT name FROM jobcron_run ORDER BY name")]


@pytest.mark.feature("LP-17")
def test_the_sections_of_a_group_are_run_each_as_a_run_of_its_own(grouped: Instance) -> None:
    foo, act = do_foo(grouped), grouped.act(("write", "x"))
    err = process(grouped, "MAIN")
    assert [grouped.row(job).status for job in (foo, act)] == [JobStatus.COMPLETED] * 2
    assert re.search(f"^{TIME}INFO    Ran 1 DoFooJob jobs\\.$", err, re.MULTILINE)
    assert re.search(f"^{TIME}INFO    Ran 1 ActJob jobs\\.$", err, re.MULTILINE)
    assert runs(grouped) == ["act", "do_foo"]
    assert sorted(path.name for path in (grouped.state / "locks").iterdir()) == ["act.lock", "do_foo.lock"]


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["OTHER"], ["telling"]),
        (["MAIN", "OTHER"], ["act", "do_foo", "telling"]),
        (["--all"], ["act", "do_foo", "own_ready", "telling"]),
        (["--all", "--exclude", "act", "-e", "telling"], ["do_foo", "own_ready"]),
        (["MAIN", "--exclude", "act"], ["do_foo"]),
        (["MAIN", "--exclude", "act", "--exclude", "do_foo"], []),
    ],
    ids=" ".join,
)
@on_sqlite
def test_arguments_choose_the_sections(grouped: Instance, arguments: list[str], expected: list[str]) -> None:
    assert process(grouped, *arguments) == ""
    assert runs(grouped) == expected


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["usage: jobcron process-job-sources [options] GROUP... | --all", "got: neither"]),
        ([], ["the groups are: MAIN (act, do_foo), OTHER (telling); in no group: own_ready"]),
        (["MAIN", "--all"], ["expected the names of groups, or --all, got: MAIN"]),
        (["NONE"], ["expected a section with crontab_group NONE", "the groups are: MAIN, OTHER"]),
        (["MAIN", "--jobs", "0"], ["argument --jobs: expected a whole number from 1 to 1000, got: '0'"]),
        (
            ["MAIN", "--splay", "nan"],
            ["argument --splay: expected a number of seconds from 0 to 86400, got: 'nan'"],
        ),
        (["--all", "--config", "nowhere"], ["expected --config to be"]),
    ],
    ids=lambda value: " ".join(value)[:20],
)
@on_sqlite
def test_wrong_arguments_are_refused(grouped: Instance, arguments: list[str], messages: list[str]) -> None:
    job = do_foo(grouped)
    err = process(grouped, *arguments, expect=2)
    for message in messages:
        assert message in err
    assert grouped.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("order", [1, -1], ids=["help last", "help first"])
@on_sqlite
def test_the_help_lists_groups_and_sections_where_the_configuration_can_be_read(
    grouped: Instance, order: int
) -> None:
    words = ["--config", str(grouped.path), "-h"]
    if order < 0:
        words = [words[2], *words[:2]]
    out, err = grouped.command("process-job-sources", *words, extra_env={"JOBCRON_CONFIG": "/nowhere"})
    assert "The groups are: MAIN (act, do_foo), OTHER (telling); in no group: own_ready\n" in out
    assert err == ""
    (grouped.path / "jobcron.conf").write_text("[jobcron]\nnonsense: 1\n")
    out, err = grouped.command("process-job-sources", *words)
    assert "-h, --help" in out
    assert "The groups are" not in out
    assert err == ""


@pytest.mark.feature("LP-17")
@on_sqlite
def test_an_excluded_section_of_another_group_is_told(grouped: Instance) -> None:
    assert "INFO    --exclude telling: it is in none of these groups: MAIN" in process(
        grouped, "MAIN", "-e", "telling"
    )


@pytest.mark.feature("LP-17")
@on_sqlite
def test_an_excluded_section_that_is_gone_is_told_and_stops_nothing(grouped: Instance) -> None:
    job = do_foo(grouped)
    told = process(grouped, "MAIN", "--exclude", "nobody")
    assert "INFO    --exclude nobody: there is no such section; the sections are: act, do_foo, own_ready" in told
    assert grouped.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-12", "LP-17")
@on_sqlite
def test_the_script_needs_no_environment_and_no_directory(grouped: Instance, tmp_path: Path) -> None:
    job = do_foo(grouped)
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working directory')\n")
    command = [str(SCRIPT), "--config", str(grouped.path), "MAIN"]
    done = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert re.fullmatch(f"{TIME}INFO    Ran 1 DoFooJob jobs\\.\n", done.stderr)
    assert grouped.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-17")
def test_sections_with_nothing_to_do_start_no_process(grouped: Instance) -> None:
    process(grouped, "--all", "-q")
    ids = {path: path.read_text() for path in (grouped.state / "locks").iterdir()}
    job = grouped.act(("write", "x"))
    process(grouped, "MAIN", "OTHER")
    assert grouped.row(job).status is JobStatus.COMPLETED
    changed = [path.name for path, holder in ids.items() if path.read_text() != holder]
    assert changed == ["act.lock"]  # the holder's number is written by each process that takes a lock


@pytest.mark.feature("LP-17")
def test_a_failing_section_is_named_and_harms_no_other(grouped: Instance) -> None:
    broken = "[broken]\nsource_interface: fooapp.NoSuchJob\ncrontab_group: MAIN\n"
    grouped.configure(sections=SECTIONS + broken)
    job = do_foo(grouped)
    err = process(grouped, "MAIN", expect=1)
    assert grouped.row(job).status is JobStatus.COMPLETED
    assert "section [broken], key source_interface" in err
    assert "ERROR   1 of 3 sections failed: broken (status 2)." in err


@pytest.mark.feature("LP-17")
def test_a_section_that_dies_is_named(grouped: Instance) -> None:
    dead = grouped.act(("kill", ""))
    job = do_foo(grouped)
    err = process(grouped, "--all", expect=1)
    assert "ERROR   1 of 4 sections failed: act (signal 9)." in err
    assert grouped.row(job).status is JobStatus.COMPLETED
    assert grouped.row(dead).status is JobStatus.RUNNING


@pytest.mark.feature("LP-17", "LP-18")
@pytest.mark.parametrize(
    "database_url", ["postgresql"], indirect=True
)  # SQLite's one writer at a time holds all up
def test_a_section_whose_run_goes_on_holds_up_nobody(grouped: Instance, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    slow = grouped.act(("touch", str(begun)), ("wait_for", str(go)))
    first = start(grouped, "MAIN", "--jobs", "1")
    wait_until(begun.exists, "the slow job")
    job = do_foo(grouped)
    grouped.act(("write", "later"))
    err = process(grouped, "MAIN", "-v", "--jobs", "1")
    assert re.search(r"INFO    the lock \S+act\.lock is held by process", err)
    assert grouped.row(job).status is JobStatus.COMPLETED
    go.touch()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "Ran 2 ActJob jobs." in err
    assert grouped.row(slow).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("jobs", [1, 2])
def test_so_many_sections_run_at_once(grouped: Instance, jobs: int) -> None:
    more = "".join(
        f"[act{i}]\nsource_interface: fooapp.IActJobSource\ncrontab_group: CROWD\nbatch_size: 1\n"
        for i in range(4)
    )
    grouped.configure(sections=SECTIONS + more)
    for _ in range(4):
        grouped.act(("sql", "SELECT pg_sleep(0.5)"), ("write", "x"))
    parent = start(grouped, "CROWD", "--jobs", str(jobs))
    most = 0
    while parent.poll() is None:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        most = max(most, len(children))
        time.sleep(0.005)
    parent.communicate(timeout=60)
    assert most == jobs
    assert {row.status for row in grouped.rows()} == {JobStatus.COMPLETED}


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_stop_is_handed_on_and_the_jobs_have_their_grace(
    grouped: Instance, tmp_path: Path, number: signal.Signals
) -> None:
    begun, asked, go = (tmp_path / name for name in ("begun", "asked", "go"))
    slow = grouped.act(
        ("touch", str(begun)), ("wait_for_stop", str(asked)), ("wait_for", str(go)), ("write", "done")
    )
    later = grouped.act(("write", "later"))
    foo = do_foo(grouped)
    parent = start(grouped, "MAIN", "--jobs", "1")
    wait_until(begun.exists, "the slow job")
    parent.send_signal(number)
    wait_until(asked.exists, "the signal to be handed on")
    assert parent.poll() is None
    go.touch()
    _, err = parent.communicate(timeout=60)
    assert parent.returncode == 0
    assert "INFO    Stopped by a signal; sections that were not started: 1." in err
    assert grouped.row(slow).status is JobStatus.COMPLETED
    assert [grouped.row(job).status for job in (later, foo)] == [JobStatus.WAITING] * 2
    assert [grouped.row(job).attempt_count for job in (later, foo)] == [0, 0]


@pytest.mark.feature("LP-17")
@on_sqlite
def test_a_second_sigterm_ends_the_grace(grouped: Instance, tmp_path: Path) -> None:
    begun, asked = tmp_path / "begun", tmp_path / "asked"
    slow = grouped.act(("touch", str(begun)), ("wait_for_stop", str(asked)), ("wait_for", str(tmp_path / "never")))
    parent = start(grouped, "MAIN")
    wait_until(begun.exists, "the slow job")
    parent.send_signal(signal.SIGTERM)
    wait_until(asked.exists, "the signal to be handed on")
    assert parent.poll() is None
    parent.send_signal(signal.SIGTERM)
    parent.communicate(timeout=60)
    assert parent.returncode == 0
    assert grouped.row(slow).status is JobStatus.WAITING


@pytest.mark.feature("LP-17")
@on_sqlite
def test_the_keyboard_stops_all(grouped: Instance, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    slow = grouped.act(("touch", str(begun)), ("wait_for", str(tmp_path / "never")))
    parent = start(grouped, "MAIN")
    wait_until(begun.exists, "the slow job")
    parent.send_signal(signal.SIGINT)
    _, err = parent.communicate(timeout=20)
    assert parent.returncode == 1
    assert "Stopped from the keyboard" in err
    assert grouped.row(slow).status is JobStatus.WAITING


@pytest.mark.feature("LP-16", "LP-17")
@on_sqlite
def test_options_are_handed_on(grouped: Instance, tmp_path: Path) -> None:
    log = tmp_path / "log" / "groups.log"
    grouped.act(("raise", "value"))
    err = process(grouped, "MAIN", "-q", f"--log-file=DEBUG:{log}")
    assert err == ""
    text = log.read_text()
    assert "DEBUG   Running ActJob (ID " in text
    assert "INFO    1 ActJob jobs did not complete." in text
    grouped.act(("raise", "value"))
    err = process(grouped, "MAIN", "-v", "--fail-on-job-failure", expect=1)
    assert "DEBUG   Running ActJob (ID " in err
    assert "ERROR   1 of 2 sections failed: act (status 1)." in err


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_sections_say_is_not_mixed_within_a_line(grouped: Instance) -> None:
    noisy = grouped.path / "noisyapp.py"
    noisy.write_text(
        "import os\nfrom fooapp import *\n"
        "def run(self):\n"
        "    for _ in range(300):\n"
        "        os.write(2, b'begin ')\n"
        "        os.write(2, b'%d end\\n' % os.getpid())\n"
        "    os.write(2, b'begin the last end')\n"
        "DoFooJob.run = ActJob.run = run\n"
    )
    grouped.configure(sections=SECTIONS)
    text = (grouped.path / "jobcron.conf").read_text()
    text = text.replace("application: fooapp:register", "application: noisyapp")
    (grouped.path / "jobcron.conf").write_text(text.replace("python_path: ", f"python_path: {grouped.path} "))
    do_foo(grouped)
    grouped.act()
    err = process(grouped, "MAIN")
    lines = [line for line in err.splitlines() if line.startswith("begin") and "the last" not in line]
    assert len(lines) == 600
    assert all(re.fullmatch(r"begin \d+ end", line) for line in lines)
    assert err.count("begin the last end") == 2


@pytest.mark.feature("LP-17")
@on_sqlite
def test_starts_are_spread_over_the_splay(grouped: Instance) -> None:
    script = ProcessJobSources(test_args=["--all", "--splay", "20", "--config", str(grouped.path)])
    sections = list(script.settings.sections.values())
    starts = [start.after for _ in range(50) for start in script.starts(script.settings, sections)]
    assert 0 <= min(starts) < 5 < 15 < max(starts) <= 20
    began = time.monotonic()
    process(grouped, "--all", "--splay", "1")
    assert runs(grouped) == ["act", "do_foo", "own_ready", "telling"]
    process(grouped, "MAIN", "--splay", "60")  # nothing to do: nothing to wait for
    assert time.monotonic() - began < 60


@pytest.mark.feature("LP-17", "LP-28")
@on_sqlite
def test_each_section_is_switched_off_by_its_own_name(grouped: Instance) -> None:
    control = grouped.path / "control.ini"
    control.write_text("[act]\nenabled: false\n")
    grouped.configure(f"cron_control: {control}\n", SECTIONS)
    foo, act = do_foo(grouped), grouped.act(("write", "x"))
    err = process(grouped, "MAIN")
    assert "INFO    act: Disabled by section [act]" in err
    assert [grouped.row(job).status for job in (foo, act)] == [JobStatus.COMPLETED, JobStatus.WAITING]
    control.write_text("[process-job-sources]\nenabled: false\n")
    assert "Disabled by section [process-job-sources]" in process(grouped, "MAIN")
    assert grouped.row(act).status is JobStatus.WAITING


@pytest.mark.feature("LP-17")
@on_sqlite
def test_a_database_that_is_away_is_told_once_for_each_section(grouped: Instance) -> None:
    away = {"JOBCRON_DATABASE_URL": f"sqlite:///{grouped.path}/missing/foo.db"}
    arguments = ("process-job-sources", "MAIN")
    _, err = grouped.command(*arguments, expect=1, extra_env=away)
    assert err.count("cannot connect") == 2
    assert "ERROR   2 of 2 sections failed: act (status 1), do_foo (status 1)." in err
    assert grouped.command(*arguments, expect=1, extra_env=away) == ("", "")
    err = process(grouped, "MAIN")
    assert err.count("The database is there again") == 2


@pytest.mark.feature("LP-17")
@on_sqlite
def test_a_database_that_does_not_answer_holds_up_the_look_once_not_for_each_role(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups_script, "LOOK_SECONDS", 1.0)
    names = ("one", "two", "three")
    instance.configure(
        sections="".join(f"[{name}]\nsource_interface: fooapp.ActJob\ndbuser: role_{name}\n" for name in names)
    )
    settings = load_settings(str(instance.path))
    instance.state.mkdir(mode=0o700)
    note_types(settings, {"fooapp.ActJob": "foo_job.ACT"}, time.monotonic())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = settings._replace(database_url=f"postgresql://127.0.0.1:{port}/x?connect_timeout=2")
        ready = groups_script.sections_with_work(silent, list(settings.sections.values()))
        server.setblocking(False)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()
    assert {section.name for section in ready} == {*names}


@pytest.mark.feature("LP-17")
@on_sqlite
def test_crontab_has_a_line_for_each_group(grouped: Instance) -> None:
    out, _ = grouped.command("crontab")
    log = grouped.state / "log"
    assert (
        f"* * * * *  {JOBCRON} process-job-sources MAIN -q -q --log-file=INFO:{log}/process-job-sources.MAIN.log"
        in out
    )
    assert f"* * * * *  {JOBCRON} run own_ready -q -q" in out
    assert "run act" not in out
    out, _ = grouped.command("check-config")
    assert "ok       group MAIN, at * * * * *: act, do_foo" in out


@pytest.mark.feature("LP-17")
@on_sqlite
def test_a_group_has_one_schedule(grouped: Instance) -> None:
    grouped.configure(sections=SECTIONS.replace("[act]\n", "[act]\nschedule: @daily\n"))
    for command in ("crontab", "check-config"):
        out, err = grouped.command(command, expect=2)
        assert (
            "section [do_foo], key schedule: expected @daily, as in section [act] of the same crontab_group MAIN, "
            "got: * * * * *"
        ) in out + err


@pytest.mark.feature("LP-17")
@on_sqlite
def test_sections_cannot_be_started_from_a_thread_that_hears_no_signals(grouped: Instance) -> None:
    job = grouped.act(("write", "x"))
    script = ProcessJobSources(test_args=["--all", "--config", str(grouped.path)])
    with ThreadPoolExecutor(1) as pool, pytest.raises(UserMistake, match="from the main thread of a process"):
        pool.submit(script.main).result()
    assert grouped.row(job).status is JobStatus.WAITING
