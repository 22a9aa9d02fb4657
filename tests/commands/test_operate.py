"""The ``jobcron`` command: init, crontab, check-config, and what it says of bad input."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from instances import Instance, run_jobcron
from jobcron import JobStatus, load_settings
from jobcron.commands._init import configuration
from jobcron.database.version import REVISION
from jobcron.testing import run_script
from jobcron.testing.server import PrivatePostgreSQL
from paths import JOBCRON

PYTHON = sys.executable


def jobcron(
    *arguments: str, expect: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[str, str]:
    """Run the command; return standard output and standard error."""
    out, err = run_jobcron(*arguments, expect=expect, extra_env=env, cwd=cwd)
    assert "Traceback" not in out + err
    return out, err


def as_cron(crontab: str, home: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run the lines of a crontab as cron does: by sh, in the home directory, with what it assigns alone."""
    env = {"HOME": str(home), "LOGNAME": "me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = []
    for line in crontab.splitlines():
        if assignment := re.fullmatch(r"([A-Z_]+)=(.*)", line):
            env[assignment[1]] = assignment[2].strip('"')
        elif line and not line.startswith("#"):
            command = re.sub(r"^(@\w+|(\S+ +){4}\S+) +", "", line)
            unescaped = re.sub(r"(?<!\\)%", "\n", command).replace(r"\%", "%")
            script, _, given = unescaped.partition("\n")
            done.append(
                subprocess.run(
                    ["/bin/sh", "-c", script],
                    env=env,
                    cwd=home,
                    input=given,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            )
    return done


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["inst", "an instance with 100% of “blanks”"])
def test_init_writes_an_instance_whose_first_job_runs_by_cron(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, name: str
) -> None:
    folder, options = tmp_path / name, []
    database = f"first_{os.getpid()}"
    if kind == "postgresql":
        server: PrivatePostgreSQL = request.getfixturevalue("server")
        server.create_database(database)
        options = ["--database-url", server.url(database)]
    out, err = jobcron("init", name, *options, cwd=tmp_path)
    assert err == ""
    assert re.findall(r"wrote (.*)", out) == [str(folder / "jobcron.conf"), str(folder / "first_job.py")]
    env = {"JOBCRON_CONFIG": str(folder)}
    jobcron("upgrade", env=env)
    for who in ("Ada", ""):
        _, said, _ = run_script(PYTHON, [str(folder / "first_job.py"), *who.split()], extra_env=env)
        assert re.fullmatch(r"Job [12] is waiting\.\n", said)
    out, _ = jobcron("crontab", "--mail-to", "ops@example.com", env=env)
    assert "MAILTO=ops@example.com\n" in out
    for run in as_cron(out, tmp_path):  # of the section, and of the pruning
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")  # cron has nothing to mail
    assert (folder / "greetings.txt").read_text() == "Hello, Ada!\nHello, world!\n"
    assert re.fullmatch(
        r"[-0-9]{10} [:0-9]{8} INFO    Ran 2 Greet jobs\.\n", (folder / "var/log/greet.log").read_text()
    )
    out, _ = jobcron("check-config", env=env)
    assert "\nerror" not in out
    if kind == "postgresql":
        server.drop_database(database)


def test_what_init_tells_to_do_next_works_as_it_is_printed(tmp_path: Path) -> None:
    out, _ = jobcron("init", cwd=tmp_path)
    steps = "\n".join(line.strip() for line in out.partition("Next:\n")[2].splitlines())
    path = f"{JOBCRON.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", steps], env={"PATH": path}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Job 1 is waiting." in done.stdout
    assert (tmp_path / "jobcron-instance" / "greetings.txt").exists()


def test_init_for_an_application_writes_its_configuration_alone(tmp_path: Path) -> None:
    out, _ = jobcron("init", "inst", "--application", "my.app:around", "--database-url", "postgresql://me@db/my")
    assert "first_job" not in out
    assert [path.name for path in (Path.cwd() / "inst").iterdir()] == ["jobcron.conf"]
    settings = load_settings(str(Path.cwd() / "inst"))
    assert settings.application == "my.app:around"
    assert settings.database_url == "postgresql+psycopg2://me@db/my"
    assert settings.sections == {}
    assert "# source_interface: my.app.DoFooJob" in (Path.cwd() / "inst/jobcron.conf").read_text()


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is written by default out of the checkout."""
    monkeypatch.chdir(tmp_path)


def test_every_key_of_the_schema_is_in_the_configuration_that_init_writes() -> None:
    from jobcron.settings.reading import read_schema
    from jobcron.settings.settings import SCHEMA

    text = configuration(None, None)
    for keys in read_schema(Path(SCHEMA).read_text()).values():
        for key in keys:
            assert re.search(rf"^(# )?{key}: ", text, re.MULTILINE), key
    assert "datatype" not in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("present", ["jobcron.conf", "first_job.py"])
def test_init_overwrites_nothing(tmp_path: Path, present: str) -> None:
    (tmp_path / "inst").mkdir()
    (tmp_path / "inst" / present).write_text("mine")
    _, err = jobcron("init", "inst", expect=2)
    assert f"init: expected no {tmp_path / 'inst' / present}, it is there already: nothing was written" in err
    assert [path.read_text() for path in (tmp_path / "inst").iterdir()] == ["mine"]


def test_init_writes_nothing_where_everybody_may_write_or_that_everybody_may_change(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    _, err = jobcron("init", "open", expect=2)
    assert "expected " in err
    assert "chmod o-w" in err
    assert list((tmp_path / "open").iterdir()) == []
    subprocess.run(["sh", "-c", f"umask 0; {JOBCRON} init inst"], check=True, capture_output=True)
    for path in (tmp_path / "inst").iterdir():
        assert path.stat().st_mode & 0o022 == 0
    jobcron("init", "secret", "--database-url", "postgresql://me:hunter2@db/my")
    assert (tmp_path / "secret" / "jobcron.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("init", "x", "--database-url", "mysql://me:hunter2@db"),
            "to name sqlite or postgresql (psycopg2), got 'mysql'",
        ),
        (("crontab", "--config", "nowhere"), "unrecognized arguments"),
        (("--config", "nowhere", "crontab"), "expected --config to be the path of a directory"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        ((), "usage: jobcron"),
        (("run", "x", "--log-file=NOISE:/tmp/x"), "expected LEVEL:FILE with one of DEBUG, INFO"),
        (("run", "x", "--log-file="), "expected LEVEL:FILE"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_message(arguments: tuple[str, ...], message: str) -> None:
    _, err = jobcron(*arguments, expect=2)
    assert message in err
    assert "hunter2" not in err


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"jobcron \d+\.\d+\.\d+\n", jobcron("--version")[0])


@pytest.mark.parametrize(
    "schedule", ["*/5 * * * *", "0 2 * * mon-fri", "0,30 1-5/2 1 jan,Dec 7", "@daily", "@reboot", "5  4 \t* * sun"]
)
def test_a_section_says_when_cron_is_to_look(instance: Instance, schedule: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    out, _ = instance.command("crontab")
    assert f"\n{' '.join(schedule.split())}  {JOBCRON} run act" in out


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("* * * *", "expected five fields"),
        ("60 * * * *", "expected minute to be *, a number from 0 to 59"),
        ("* 24 * * *", "expected hour to be"),
        ("* * 0 * *", "expected day of the month to be"),
        ("* * * foo *", "expected month to be"),
        ("* * * * 8", "expected day of the week to be"),
        ("5-1 * * * *", "expected minute to be"),
        ("*/0 * * * *", "expected minute to be"),
        ("5/2 * * * *", "expected minute to be"),
        ("1,,2 * * * *", "expected minute to be"),
        ("@often", "expected one of @hourly"),
        ("* * * * * rm", "expected five fields"),
        ("1%2 * * * *", "expected minute to be"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_schedule_that_cron_would_not_take_is_refused(instance: Instance, schedule: str, message: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    _, err = instance.command("crontab", expect=2)
    assert f"section [act], key schedule: {message}" in err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_crontab_says_what_it_leaves_out(instance: Instance) -> None:
    out, err = instance.command("crontab", extra_env={"JOBCRON_DATABASE_URL": "sqlite:////tmp/other.db"})
    assert "# MAILTO=you@example.com\n" in out
    assert "JOBCRON_DATABASE_URL is set here and not for cron" in err
    assert "other.db" not in out
    _, err = instance.command("crontab", "--mail-to", "a b", expect=2)
    assert "--mail-to: expected an address, got: 'a b'" in err
    instance.configure(sections="")
    _, err = instance.command("crontab", expect=2)
    assert "expected at least one section of jobs, found none" in err


def test_check_config_says_that_all_is_well(instance: Instance) -> None:
    instance.command("run", "act")
    out, err = instance.command("check-config")
    assert err == ""
    assert {line.split()[0] for line in out.splitlines()} == {"ok"}
    for part in (
        "configuration ",
        "application fooapp:register",
        "section handmade",
        "state_dir",
        "database ",
        "mail",
    ):
        assert f"ok       {part}" in out
    assert "section act: fooapp.ActJob, run by JobRunner, at * * * * *" in out


def test_check_config_lists_every_problem_at_once(instance: Instance) -> None:
    (instance.path / "lonely.py").write_text(
        "from zope.interface import provider\nfrom jobcron import IJobSource\n"
        "class NoRun:\n    @staticmethod\n    def iterReady(): return []\n"
    )
    instance.configure(
        more="error_dir: jobcron.conf/oops\n",
        sections="[missing]\nsource_interface: fooapp.Nothing\n[nothing]\n"
        "[nobody]\nsource_interface: fooapp.INobodysSource\n[no_run]\nsource_interface: lonely.NoRun\n"
        "[runner]\nsource_interface: fooapp.ActJob\nrunner_class: fooapp.Foo\n",
    )
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))
    instance.query("UPDATE jobcron_schema_version SET version_num = '0001'")
    out, _ = instance.command("check-config", expect=2)
    errors = [line for line in out.splitlines() if line.startswith("error")]
    for message in (
        "section [missing], key source_interface: expected Nothing in fooapp to be an interface or",
        "section [nothing], key source_interface: expected the dotted name",
        "section [nobody], key source_interface: expected somebody to provide fooapp.INobodysSource",
        "expected the jobs of lonely.NoRun to have a method run, they have none",
        "section [runner], key runner_class: expected Foo in fooapp to be a runner class with for_source",
        "jobcron.conf cannot be written",
        "found 0001: run `jobcron upgrade`",
    ):
        assert any(message in line for line in errors), (message, out)
    assert len(errors) == 7


def test_check_config_tells_what_is_around_from_what_is_written(instance: Instance, tmp_path: Path) -> None:
    (instance.state).mkdir(mode=0o700, exist_ok=True)
    instance.state.chmod(0o777)
    out, _ = instance.command("check-config", expect=1)
    assert "to be closed to others, everybody may write there: chmod o-w" in out
    instance.state.chmod(0o700)
    instance.configure(more="database_url_of_mine: x\n")
    out, _ = instance.command("check-config", expect=2)
    assert "unknown key database_url_of_mine" in out


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "sqlite:////tmp/not there/foo.db",
            "expected the database /tmp/not there/foo.db, it is not there: run `jobcron upgrade`",
        ),
        (
            "postgresql://me:hunter2@127.0.0.1:1/x",
            "cannot connect to the database postgresql+psycopg2://me:***@127.0.0.1:1/x",
        ),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_names_a_database_that_is_not_there(instance: Instance, url: str, message: str) -> None:
    out, err = instance.command("check-config", expect=1, extra_env={"JOBCRON_DATABASE_URL": url})
    assert message in out
    assert "hunter2" not in out + err


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_check_config_tries_each_role(instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\ndbuser: nobody_here\n")
    out, _ = instance.command("check-config", expect=1)
    assert "section [act], key dbuser: cannot connect to the database" in out


def test_check_config_warns_of_what_does_not_stop_a_run(instance: Instance) -> None:
    instance.act()
    instance.query("UPDATE jobcron_type SET name = 'foo_job.REMOVED' WHERE name = 'foo_job.ACT'")
    day = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+1 day')", "postgresql": "now() + interval '1 day'"}
    instance.query(f"UPDATE jobcron_job SET date_created = {day[instance.database.dialect]}")
    path = instance.path / "jobcron.conf"
    path.write_text(re.sub("mail: .*", "mail: smtp://127.0.0.1:1", path.read_text()))
    out, _ = instance.command("check-config")
    assert "warning  1 pending jobs of the type foo_job.REMOVED, which no class of this application has" in out
    assert "warning  clock: a job was created at" in out
    assert "warning  mail: 127.0.0.1 port 1 does not answer: Connection refused" in out


@pytest.mark.feature("OCQ-12")
def test_check_config_warns_of_functions_to_keep_that_nobody_has_registered(instance: Instance) -> None:
    section = "[functions]\nsource_interface: jobcron.functions.FunctionJob\n"
    instance.configure(sections=f"{section}keep_functions: functionapp.expotr 2d\n")
    out, _ = instance.command("check-config")
    assert "key keep_functions: expected a registered function functionapp.expotr, found none" in out


@pytest.mark.feature("OCQ-12")
def test_check_config_warns_of_functions_to_keep_in_a_section_of_other_jobs(steps: Instance) -> None:
    path = steps.path / "jobcron.conf"
    sources = {"tasks: stepsapp.first": "jobcron.steps.sections.other", "queue: x": "jobcron.steps.queues.x"}
    for section, source in sources.items():
        text = path.read_text()
        path.write_text(f"{text}\n[other]\n{section}\nkeep_functions: stepsapp.first 2d\n")
        out, _ = steps.command("check-config")
        path.write_text(text)
        (warning,) = [line for line in out.splitlines() if "keep_functions" in line]
        assert warning.startswith("warning ")
        assert "expected a section whose source is jobcron.functions.calls.FunctionJob" in warning
        assert f", got {source}: it does nothing" in warning


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_check_config_warns_of_a_machine_whose_clock_is_wrong(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import datetime, time_machine\n"
        "now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)\n"
        "time_machine.travel(now, tick=True).start()\n"
    )
    out, _ = instance.command("check-config", extra_env={"PYTHONPATH": str(tmp_path)})
    # A second less where the process takes long to start.
    assert re.search(r"warning  clock: this machine's differs from the database's by (1 day|23:59:5\d)", out)


@pytest.mark.feature("LP-16")
def test_a_log_file_has_its_own_level_and_its_own_times(instance: Instance) -> None:
    instance.act()
    log = instance.path / "logs" / "act.log"
    _, err = instance.command("run", "act", "-q", "-q", f"--log-file=debug:{log}")
    assert err == ""
    lines = log.read_text().splitlines()
    assert [line[20:27] for line in lines] == ["DEBUG  ", "INFO   "]
    assert lines[1].endswith("Ran 1 ActJob jobs.")
    assert log.stat().st_mode & 0o777 == 0o600
    instance.act()
    _, err = instance.command("run", "act", f"--log-file={log}")
    assert "Ran 1 ActJob jobs." in err
    assert len(log.read_text().splitlines()) == 3  # appended, INFO by default
    before = log.read_bytes()
    instance.command("run", "act", f"--log-file={log}")
    assert log.read_bytes() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_tick_with_nothing_to_do_writes_no_log_and_knows_that_it_could(instance: Instance) -> None:
    instance.command("run", "act")
    log = instance.path / "logs" / "act.log"
    assert instance.command("run", "act", f"--log-file=DEBUG:{log}") == ("", "")
    assert log.read_bytes() == b""
    assert log.stat().st_mode & 0o777 == 0o600
    for path, said in (
        ("/proc/x/y.log", "the folder /proc/x"),
        (str(log.parent), "to be a file that can be written"),
    ):
        for script in (("run", "act"), ("process-job-sources", "--all")):
            _, err = instance.command(*script, f"--log-file={path}", expect=2)
            assert "ERROR   " in err
            assert said in err


def test_a_log_file_that_is_rotated_away_is_made_again(instance: Instance, tmp_path: Path) -> None:
    log, moved, gate = tmp_path / "act.log", tmp_path / "act.log.1", tmp_path / "gate"
    instance.act(("touch", str(tmp_path / "started")), ("wait_for", str(gate)))
    with subprocess.Popen(
        [JOBCRON, "--config", instance.path, "run", "act", f"--log-file=DEBUG:{log}"], stderr=subprocess.DEVNULL
    ) as run:
        while not (tmp_path / "started").exists():
            assert run.poll() is None
        log.rename(moved)
        gate.touch()
        assert run.wait(60) == 0
    assert "Running ActJob" in moved.read_text()
    assert "Ran 1 ActJob jobs." in log.read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_log_file_that_cannot_be_opened_stops_the_run_before_any_job(instance: Instance, tmp_path: Path) -> None:
    job = instance.act()
    (tmp_path / "elsewhere.log").touch()
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere.log")
    for path in (tmp_path / "link.log", instance.path, Path("/proc/x/y.log")):
        _, err = instance.command("run", "act", f"--log-file={path}", expect=2)
        assert "--log-file: " in err
        assert "Traceback" not in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("name", ["file", "standard error", "both"])
def test_a_full_disk_while_logging_does_not_stop_a_run(instance: Instance, tmp_path: Path, name: str) -> None:
    jobs = [instance.act(("write", "done")), instance.act(("raise", "value")), instance.act(("write", "done"))]
    code = (
        "import os, sys, jobcron.reports.logs as logs\n"
        "write = os.write\n"
        "def full(descriptor, data):\n"
        "    if os.readlink(f'/proc/self/fd/{descriptor}').endswith('full.log'):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    return write(descriptor, data)\n"
        "os.write = full\n"
        "from jobcron.commands.main import main\n"
        "sys.exit(main())\n"
    )
    log = "full.log" if name != "standard error" else "good.log"
    arguments = ["--config", str(instance.path), "run", "act", "-v", "-v", f"--log-file=DEBUG:{tmp_path / log}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PYTHON, "-c", code, *arguments],
            stderr=subprocess.PIPE if name == "file" else full,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    assert done.stdout == ""
    if name == "file":
        assert done.stderr.count("cannot be written: No space left on device") == 1
        assert "Ran 2 ActJob jobs." in done.stderr
        assert "Traceback" not in done.stderr
    if name == "standard error":
        assert "Ran 2 ActJob jobs." in (tmp_path / log).read_text()
    assert [instance.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert len(instance.oopses()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("init", "x", "--application", "not a module"), "--application: expected a module, or module:callable"),
        (("init", "x", "--application", "none"), "--application: expected a text that is not empty or none"),
        (("init", "x", "--application", "my.app\nmail: file:/tmp"), "--application: expected a text in one line"),
        (("init", "x", "--database-url", ""), "--database-url: expected a text that is not empty or none"),
        (("init", "x", "--database-url", "sqlite://"), "--database-url: expected a database in a file"),
        (("init", "x", "--database-url", "postgresql://me:hunter2@db/m\nmail: x"), "expected a text in one line"),
        (("init", ""), "init: expected a directory, got: ''"),
    ],
)
def test_init_writes_nothing_that_would_be_refused_later(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    _, err = jobcron(*arguments, expect=2)
    assert message in err
    assert "hunter2" not in err
    assert list(tmp_path.iterdir()) == []


def test_init_lets_nobody_else_write_in_the_folders_that_it_makes(tmp_path: Path) -> None:
    subprocess.run(["sh", "-c", f"umask 0; {JOBCRON} init a/b/inst"], check=True, capture_output=True)
    for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/inst"):
        assert path.stat().st_mode & 0o022 == 0, path


@pytest.mark.parametrize("schedule", ["*/٣ * * * *", "*/60 * * * *", f"*/{'9' * 5000} * * * *"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_step_is_a_number_that_the_field_has(instance: Instance, schedule: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    _, err = instance.command("crontab", expect=2)
    assert "section [act], key schedule: expected minute to be *, a number from 0 to 59" in err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_crontab_names_the_very_file_where_it_is_called_otherwise(instance: Instance, tmp_path: Path) -> None:
    other = instance.path / "night.conf"
    (instance.path / "jobcron.conf").rename(other)
    job = instance.act()
    out, _ = jobcron("--config", str(other), "crontab")
    assert f"JOBCRON_CONFIG={other}\n" in out
    assert [run.stderr for run in as_cron(out, tmp_path) if run.returncode] == []
    assert instance.row(job).status is JobStatus.COMPLETED


def test_a_percent_sign_reaches_the_shell_whether_cron_takes_the_backslash_away_or_not(tmp_path: Path) -> None:
    """Paul Vixie's own cron leaves the backslash to the shell, others take it away."""
    jobcron("init", "100% of it's", cwd=tmp_path)
    out, _ = jobcron("--config", str(tmp_path / "100% of it's"), "crontab")
    command = re.sub(r"^(\S+ +){5}", "", out.splitlines()[-2])
    assert not re.search(r"(?<!\\)%", command)
    expected = f"--log-file=INFO:{tmp_path}/100% of it's/var/log/greet.log"
    for seen in (command, command.replace(r"\%", "%")):
        assert shlex.split(seen)[-1] == expected


def test_crontab_can_say_that_nothing_is_to_be_mailed(tmp_path: Path) -> None:
    jobcron("init", "inst")
    out, _ = jobcron("--config", str(tmp_path / "inst"), "crontab", "--mail-to", "")
    assert '\nMAILTO=""\n' in out


@pytest.mark.parametrize(
    ("code", "application", "said"),
    [
        ("1 / 0", "crashing", "unexpected ZeroDivisionError: division by zero (in {file}, line 1)"),
        (
            "def call(): raise ValueError('postgresql://me:hunter2@db/my')",
            "crashing:call",
            "unexpected ValueError: ",
        ),
        ("def call(): raise SystemExit(3)", "crashing:call", "unexpected SystemExit: 3"),
        ("raise ImportError('password=hunter2\\nsecond line')", "crashing", "got ImportError: "),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_goes_on_where_the_application_crashes(
    instance: Instance, code: str, application: str, said: str
) -> None:
    instance.act()
    (instance.path / "crashing.py").write_text(code)
    path = instance.path / "jobcron.conf"
    text = re.sub("application: .*", f"application: {application}", path.read_text())
    path.write_text(text.replace("python_path: ", f"python_path: {instance.path} ").partition("[do_foo]")[0])
    out, err = instance.command("check-config", expect=2 if "ImportError" in code else 1)
    assert err == ""
    lines = out.splitlines()
    (error,) = (line for line in lines if line.startswith("error"))
    assert said.format(file=instance.path / "crashing.py") in error
    assert "hunter2" not in out
    assert {line.split()[0] for line in lines} <= {"ok", "warning", "error"}  # each in one line
    assert any(line.startswith("ok       database") for line in lines)
    assert "which no class of this application has" not in out  # nobody knows what it would have had


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_tells_problems_of_the_file_where_it_tells_all_others(instance: Instance) -> None:
    instance.configure(more="nonsense: 1\n")
    out, err = instance.command("check-config", expect=2)
    assert err == ""
    assert re.fullmatch(rf"error    {instance.path}/jobcron\.conf, line \d+: .*unknown key nonsense.*\n", out)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_names_the_section_whose_directory_is_wrong(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nerror_dir: {tmp_path}/file/x\n")
    out, _ = instance.command("check-config", expect=1)
    assert (
        f"error    {instance.path}/jobcron.conf: section [act], key error_dir: expected {tmp_path}/file/x" in out
    )


def test_check_config_tells_the_version_that_the_database_has(instance: Instance) -> None:
    instance.query(f"UPDATE jobcron_schema_version SET version_num = '9999', oldest_code = '{REVISION}'")
    out, _ = instance.command("check-config")
    assert re.search(r"ok       database .*: version 9999 of the tables", out)


@pytest.mark.parametrize("command", ["crontab", "check-config", "init", "upgrade"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_standard_output_that_takes_nothing_is_a_message(instance: Instance, command: str) -> None:
    env = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [JOBCRON, command], stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False
        )
    message = "jobcron: expected standard output to take what is said, got: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(
    "options", [["--config", "nowhere", "crontab"], ["run", "nowhere"], ["run"], ["nonsense"]]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mistake_that_cannot_be_told_keeps_its_status(instance: Instance, options: list[str]) -> None:
    env = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    with open("/dev/full", "w") as full:
        assert subprocess.run([JOBCRON, *options], stderr=full, env=env, check=False).returncode == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_log_file_that_cannot_be_opened_hides_no_other_mistake(instance: Instance) -> None:
    _, err = instance.command("run", "nowhere", "--log-file=/proc/x/y.log", expect=2)
    assert "--log-file: the folder /proc/x" in err
    assert "expected a section [nowhere], found none" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_pipe_that_nobody_reads_is_no_log_file(instance: Instance) -> None:
    job = instance.act()
    os.mkfifo(instance.path / "pipe.log")
    _, err = instance.command("run", "act", f"--log-file={instance.path / 'pipe.log'}", expect=2, timeout=30)
    assert "pipe.log to be a file that can be written" in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("place", ["full", "closed"])
def test_a_full_disk_does_not_stop_a_run_that_cannot_say_so(instance: Instance, place: str) -> None:
    """As the crontab starts it: nothing but errors on standard error, which nobody can read either."""
    jobs = [instance.act(("write", "done")), instance.act(("raise", "value")), instance.act(("write", "done"))]
    log = instance.path / "full.log"
    log.symlink_to("/dev/full")  # followed here, and only here
    code = (
        "import os, sys\n"
        "os.O_NOFOLLOW = 0\n"
        "os.lstat = os.stat\n"
        "from jobcron.commands.main import main\n"
        "sys.exit(main())\n"
    )
    shell = f'exec "$@" 2>{"/dev/full" if place == "full" else "&-"}'
    arguments = ["--config", str(instance.path), "run", "act", "-q", "-q", f"--log-file=DEBUG:{log}"]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", PYTHON, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert [instance.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_half_a_line_in_the_log_file_is_told_as_well(instance: Instance) -> None:
    instance.act()
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from jobcron.reports.logs import add_log_file, set_up_log\n"
        "logger = set_up_log(40, True)\n"
        "add_log_file(20, sys.argv[1], '--log-file')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "logger.info('what is longer than there is room for')\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", code, str(instance.path / "short.log")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr.count("short.log cannot be written: ") == 1
    assert "Traceback" not in done.stderr
