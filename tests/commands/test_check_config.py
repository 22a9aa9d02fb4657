"""``jobcron check-config``: tells every problem of a configuration, and of what is around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from instances import Instance
from jobcron.database.version import REVISION


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
        ("raise ImportError('password=hunter2\\nsecond line')", "crashing", "when it is imported: ImportError: "),
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
