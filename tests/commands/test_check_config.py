"""``jobcron check-config``: tells every problem of a configuration, and of what is around it."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from instances import Instance, run_jobcron
from jobcron.commands.main import main
from jobcron.database.version import REVISION


def test_check_config_says_that_all_is_well(instance: Instance) -> None:
    instance.configure(more="failure_recipients: ops@example.com\n")
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


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_refuses_a_memory_limit_that_the_runner_does_not_keep(instance: Instance) -> None:
    (instance.path / "limited.py").write_text(
        "from jobcron import BaseRunnableJob, JobType\nclass LimitedType(JobType):\n    LIMITED = 0, 'limited'\n"
        "class Limited(BaseRunnableJob):\n    class_job_type = LimitedType.LIMITED\n    memory_limit = 10**9\n"
        "    def run(self): pass\n"
    )
    sections = "[limited]\nsource_interface: limited.Limited\n"
    instance.configure(sections=sections)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))
    out, _ = instance.command("check-config", expect=2)
    assert "section [limited], key runner_class: expected ProcessJobRunner, because limited.Limited has a" in out
    assert "memory_limit (1000000000 bytes), which JobRunner does not keep" in out
    path.write_text(path.read_text() + "runner_class: ProcessJobRunner\n")
    assert "memory_limit" not in instance.command("check-config")[0]


UNTYPED = """
from jobcron import BaseRunnableJob
class Base(BaseRunnableJob):
    pass
class Forgotten(Base):
    def run(self): pass
class Unused(Base):
    def run(self): pass
class Own(Base):
    def run(self): pass
    @staticmethod
    def iterReady(): return []
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_class_whose_type_was_forgotten_is_an_error_in_a_section_and_a_warning_elsewhere(
    instance: Instance,
) -> None:
    (instance.path / "untyped.py").write_text(UNTYPED)
    section = "[{0}]\nsource_interface: untyped.{0}\n"
    instance.configure(sections=section.format("Forgotten") + section.format("Own"))
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("python_path: ", f"python_path: {instance.path} ")
    path.write_text(text.replace("application: fooapp:register", "application: untyped"))
    out, _ = instance.command("check-config", expect=2)
    said = "[Forgotten], key source_interface: expected untyped.Forgotten to have a class_job_type, such as"
    assert f"section {said} MyJobType.SEND_MAIL, found none" in out
    assert "warning  application: expected untyped.Unused to have a class_job_type" in out
    assert out.count("to have a class_job_type") == 2
    _, err = instance.command("run", "Forgotten", expect=2)
    assert said in err


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


@pytest.mark.feature("LP-32")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_says_whether_jobs_can_be_offered_and_received(instance: Instance) -> None:
    own = "[act]\nsource_interface: fooapp.IActJobSource\ndispatch: {}\n"
    instance.configure(sections=own.format("dispatchapp:Noting"))
    assert (
        "section act: its jobs are offered to dispatchapp:Noting: noted: 0" in instance.command("check-config")[0]
    )
    instance.configure(sections=own.format("celery"))
    out, _ = instance.command("check-config", expect=2)
    assert (
        "expected the key celery_broker_url in [jobcron], or JOBCRON_CELERY_BROKER_URL, for celery, got neither"
        in out
    )
    instance.configure("celery_broker_url: amqp://guest:s3cr3tpw@127.0.0.1:9//", own.format("celery"))
    out, _ = instance.command("check-config")
    assert "warning  section act: its jobs are offered to celery, which does not answer: " in out
    assert "s3cr3tpw" not in out
    instance.configure(sections=own.format("dispatchapp:Noting").replace("IActJobSource", "OwnReadyJob"))
    out, _ = instance.command("check-config", expect=2)
    assert "key dispatch: expected a job class without iterReady" in out


def test_a_runner_that_an_object_makes_is_named_by_the_class_of_the_object(instance: Instance) -> None:
    (instance.path / "makers.py").write_text(
        "from jobcron import JobRunner\nclass Maker:\n    for_source = JobRunner.for_source\nmaker = Maker()\n"
    )
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\nrunner_class: makers.maker\n")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))
    out, _ = instance.command("check-config")
    assert "section act: fooapp.ActJob, run by Maker, at * * * * *" in out


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
    assert "section [act], key dbuser: the role nobody_here does not exist: a section [nobody_here] with" in out


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_check_config_names_a_role_that_no_file_gives_a_runners_rights(instance: Instance, stranger: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\ndbuser: {stranger}\n")
    out, _ = instance.command("check-config", expect=1)
    assert f"key dbuser: the role {stranger}, which no security.cfg names, lacks " in out
    assert "permission denied" not in out
    instance.query(f"GRANT jobcron_runner TO {stranger}")
    instance.command("check-config")


def test_check_config_warns_of_what_does_not_stop_a_run(instance: Instance) -> None:
    instance.act()
    instance.query("UPDATE jobcron_type SET name = 'foo_job.REMOVED' WHERE name = 'foo_job.ACT'")
    day = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+1 day')", "postgresql": "now() + interval '1 day'"}
    instance.query(f"UPDATE jobcron_job SET date_created = {day[instance.database.dialect]}")
    path = instance.path / "jobcron.conf"
    path.write_text(re.sub("mail: .*", "mail: smtp://127.0.0.1:1", path.read_text()))
    out, _ = instance.command("check-config")
    assert "warning  1 pending job of the type foo_job.REMOVED, which no class of this application has" in out
    assert "warning  clock: the database's clock was set back: a job was created at" in out
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
@pytest.mark.parametrize("end", ["import no_such_package", "1 / 0", "raise SystemExit"])
def test_a_module_that_fails_after_it_has_mapped_a_class_is_told_once(instance: Instance, end: str) -> None:
    code = "from fooapp import Base, DoFooJob\nimport sqlalchemy\nsqlalchemy.Table('half', Base.metadata)\n"
    (instance.path / "half.py").write_text(f"{code}{end}\n")
    (instance.path / "other.py").write_text("from half import DoFooJob\n")
    instance.configure(
        sections="[half]\nsource_interface: half.DoFooJob\n[other]\nsource_interface: other.DoFooJob\n"
        "[none]\nsource_interface: fooapp.NoJob\n[act]\nsource_interface: fooapp.ActJob\n"
    )
    path = instance.path / "jobcron.conf"
    text = re.sub("application: .*", "application: half", path.read_text())
    path.write_text(text.replace("python_path: ", f"python_path: {instance.path} "))
    out, err = instance.command("check-config", expect=2)
    assert err == ""
    errors = [line for line in out.splitlines() if line.startswith("error")]
    assert ["key application" in line for line in errors] == [True, False]
    assert "section [none], key source_interface: expected NoJob in fooapp" in errors[1]
    for name in ("half", "other"):
        assert f"warning  section {name}: not checked, because the import of half failed\n" in out
    assert "ok       section act: fooapp.ActJob" in out


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


def test_a_family_without_its_table_is_an_error_that_says_when_to_create_it(instance: Instance) -> None:
    cascade = " CASCADE" if instance.database.dialect == "postgresql" else ""
    instance.query(f"DROP TABLE foo_job{cascade}")
    out, _ = instance.command("check-config", expect=1)
    assert (
        "error    family fooapp.FooJob: expected its table foo_job in the database, found none: create it" in out
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_type_without_a_section_is_a_warning_before_it_has_jobs(instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\n")
    out, _ = instance.command("check-config")
    assert (
        "warning  no section runs jobs of the type foo_job.DO_FOO, which fooapp.DoFooJob has: they would wait"
        in out
    )
    assert "type foo_job.ACT," not in out
    assert "FunctionJob" not in out  # the application has no functions


def test_a_queues_section_runs_the_jobs_of_several_tasks_and_hides_no_other_type(instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\n[quick]\nqueue: quick\n")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "stepsapp"))
    out, _ = instance.command("check-config")
    assert "no section runs jobs of the type foo_job.DO_FOO" in out
    assert "no section runs jobs of the type steps." not in out
    assert "not looked for" not in out


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "fooapp.OwnReadyJob",
            "section [other] has a source with an iterReady of its own, fooapp.OwnReadyJob, which may find",
        ),
        (
            "fooapp.IHandmadeSource",
            "section [other] has a source with an iterReady of its own, fooapp.IHandmadeSource",
        ),
        (None, "the source of section [other] cannot be found"),
    ],
)
def test_where_nobody_knows_which_types_run_check_config_says_why_it_looks_for_none(
    instance: Instance, source: str | None, why: str
) -> None:
    line = "" if source is None else f"source_interface: {source}\n"
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\n[other]\n{line}")
    out, _ = instance.command("check-config", expect=0 if source else 2)
    assert f"ok       types without a section: not looked for, because {why}" in out
    assert "no section runs jobs" not in out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_functions_without_a_section_are_a_warning(calling: Instance) -> None:
    calling.configure(sections="[act]\nsource_interface: fooapp.ActJob\n")
    path = calling.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "functionapp"))
    out, _ = calling.command("check-config")
    assert "no section runs jobs of the type FunctionJobType.CALL, which jobcron.functions" in out


@pytest.mark.parametrize(
    ("crontab", "is_missing"),
    [
        ("* * * * *  jobcron run act -q -q --log-file=INFO:/x/act.log", False),
        ("* * * * *  cronscripts/run_jobs.py act", False),
        ("* * * * *  jobcron process-job-sources --all", False),
        ("* * * * *  jobcron process-job-sources often", False),
        ("# * * * * *  jobcron run act", True),
        ("* * * * *  jobcron run act-2 --log-file=INFO:/x/act.log", True),
        (None, True),
    ],
)
def test_a_section_that_no_crontab_names_is_a_warning_until_it_runs(
    instance: Instance, tmp_path: Path, crontab: str | None, is_missing: bool
) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\ncrontab_group: often\n")
    says = f"echo '{crontab}'" if crontab else "echo 'no crontab for me' >&2; exit 1"
    (tmp_path / "crontab").write_text(f"#!/bin/sh\n{says}\n")
    (tmp_path / "crontab").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    told = "warning  section act: no line of this user's or the machine's crontabs runs it"
    assert (told in instance.command("check-config", extra_env=env)[0]) is is_missing
    instance.run("act")
    assert told not in instance.command("check-config", extra_env=env)[0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "there is no program crontab"),
        ("echo 'you may not use cron' >&2; exit 1", "`crontab -l` failed: you may not use cron"),
    ],
)
def test_a_crontab_that_cannot_be_read_is_told_until_the_sections_run(
    instance: Instance, tmp_path: Path, script: str | None, why: str
) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\n")
    if script is not None:
        (tmp_path / "crontab").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "crontab").chmod(0o755)
    env = {"PATH": str(tmp_path)}
    told = f"ok       lines of crontabs: not read, because {why}; not run for a day: act\n"
    assert told in instance.command("check-config", extra_env=env)[0]
    instance.run("act")
    assert "lines of crontabs" not in instance.command("check-config", extra_env=env)[0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_mail_that_nobody_would_get_is_a_warning(instance: Instance) -> None:
    act = "[act]\nsource_interface: fooapp.ActJob\n"
    instance.configure(sections=act)
    out, _ = instance.command("check-config")
    assert "key failure_recipients: expected addresses, got none: of failed jobs of act only those are told" in out
    instance.configure(sections=f"{act}failure_recipients: ops@example.com\n")
    assert "failure_recipients" not in instance.command("check-config")[0]
    instance.configure(more="failure_recipients: ops@example.com, root\n")
    out, _ = instance.command("check-config", expect=2)
    assert "failure_recipients: expected addresses, separated by spaces, such as ops@example.com, got: ops@" in out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_is_told_as_json_too(instance: Instance) -> None:
    instance.configure(sections="[missing]\nsource_interface: fooapp.Nothing\n")
    out, _ = instance.command("check-config", "--json", expect=2)
    told = json.loads(out)
    assert told["status"] == 2
    assert {"level": "ok", "text": f"configuration {instance.path}/jobcron.conf"} in told["findings"]
    (error,) = [finding["text"] for finding in told["findings"] if finding["level"] == "error"]
    assert "section [missing], key source_interface: expected Nothing in fooapp" in error


def test_check_config_tells_the_version_that_the_database_has(instance: Instance) -> None:
    instance.query(f"UPDATE jobcron_schema_version SET version_num = '9999', oldest_code = '{REVISION}'")
    out, _ = instance.command("check-config")
    assert re.search(r"ok       database .*: version 9999 of the tables", out)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_refuses_notifications_that_the_database_does_not_have(instance: Instance) -> None:
    instance.configure(more="notify: true\n")
    out, _ = instance.command("check-config", expect=2)
    assert "section [jobcron], key notify: expected false, as for all databases but PostgreSQL, got: true" in out


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_check_config_warns_of_notifications_that_an_upgrade_would_switch(instance: Instance) -> None:
    instance.configure(more="notify: true\n")
    place = "section [jobcron], key notify"
    assert (
        f"{place}: true, but the database does not notify: run `jobcron upgrade`"
        in instance.command("check-config")[0]
    )
    instance.command("upgrade")
    assert place not in instance.command("check-config")[0]
    instance.configure(more="notify: false\n")
    assert (
        f"{place}: false, but the database notifies: run `jobcron upgrade`" in instance.command("check-config")[0]
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_check_config_tells_the_extra_that_is_missing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.configure(more="transactions: zope\n")
    monkeypatch.setitem(sys.modules, "jobcron.database.zope", None)
    assert main(["--config", str(instance.path), "check-config"]) == 2
    out = capsys.readouterr().out
    assert "section [jobcron], key transactions: expected the package transaction for zope, got: " in out
    assert "it comes with the extra jobcron[zope]" in out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_env_py_that_would_drop_the_tables_with_an_older_alembic_is_told(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (instance.path.parent / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    script = instance.path.parent / "migrations" / "env.py"
    script.parent.mkdir()
    script.write_text("context.configure(include_object=jobcron.include_object)\n")

    def told() -> str:
        main(["check-config", "--config", str(instance.path)])
        return capsys.readouterr().out

    assert "env.py" not in told()
    monkeypatch.setattr("jobcron.commands.checks._alembic.version", lambda name: "1.17.2")
    assert f"warning  {script}: expected render_item in context.configure: Alembic 1.17.2 has no plugins" in told()
    script.write_text(script.read_text() + "render_item=jobcron.render_item\n")
    assert "env.py" not in told()
    (instance.path.parent / "alembic.ini").write_text("nonsense")
    assert "env.py" not in told()


def test_the_job_types_of_an_application_are_counted_without_those_of_the_package(tmp_path: Path) -> None:
    instance = str(tmp_path / "instance")
    run_jobcron("init", instance)
    run_jobcron("--config", instance, "upgrade")
    out, _ = run_jobcron("--config", instance, "check-config")
    assert "ok       application first_job: 1 job type\n" in out
