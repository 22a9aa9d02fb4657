"""Scripts: run_jobs.py as cron starts it, one's own cron script, scripts inside tests, and bad input."""

from __future__ import annotations

import gc
import logging
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo, Ledger
from instances import Instance
from jobcron import BaseRunnableJob, Job, JobCronScript, JobStatus, JobType, current_session
from jobcron.testing import BufferLogger, DevNullLogger, outbox, run_script
from paths import APPS, ROOT, TESTS

RUN_JOBS = ROOT / "cronscripts" / "run_jobs.py"

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


class ScriptJobType(JobType):
    """Types of jobs for these tests."""

    MAKE = 1


class MakeJob(BaseRunnableJob[Job]):
    """Makes other jobs, of its own type and of another."""

    class_job_type = ScriptJobType.MAKE

    def run(self) -> None:
        """Make a foo, a job about it, and the next one of these."""
        session = current_session()
        foo = Foo(name="made")
        session.add(foo)
        DoFooJob.create(foo, session=session)
        if self.metadata["more"]:
            MakeJob.create(session=session, metadata={"more": self.metadata["more"] - 1})
        if self.metadata.get("fail"):
            raise ValueError("after all that")


MAKE = f"[make]\nsource_interface: {__name__}.MakeJob\n"


def do_foo(instance: Instance) -> int:
    """Commit a DoFooJob, and return its number."""
    with instance.session() as session:
        return int(DoFooJob.create(instance.foo(session), session=session).job.id)


def as_cron(instance: Instance, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Start run_jobs.py with an environment that has nothing but `env`, and `--config`."""
    return subprocess.run(
        [RUN_JOBS, "--config", instance.path, *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.feature("LP-12", "LP-16")
@pytest.mark.parametrize("env", [{}, {"PATH": "/usr/bin:/bin"}], ids=["empty", "cron"])
def test_run_jobs_needs_no_environment_and_no_directory(
    instance: Instance, tmp_path: Path, env: dict[str, str]
) -> None:
    job = do_foo(instance)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = as_cron(instance, "do_foo", cwd=elsewhere, **env)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(f"{TIME}INFO    Ran 1 DoFooJob jobs\\.\n", done.stderr)
    assert instance.row(job).status is JobStatus.COMPLETED
    assert list(elsewhere.iterdir()) == []


@pytest.mark.feature("LP-12")
@on_sqlite
def test_run_jobs_is_found_through_a_relative_path(instance: Instance) -> None:
    job = do_foo(instance)
    for cwd, script in ((ROOT / "cronscripts", "./run_jobs.py"), (TESTS, "../cronscripts/run_jobs.py")):
        command = [script, "do_foo", "--config", str(instance.path)]
        subprocess.run(command, cwd=cwd, env={}, check=True, timeout=60)
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-12")
@on_sqlite
def test_run_jobs_is_started_by_a_symbolic_link(instance: Instance, tmp_path: Path) -> None:
    job = do_foo(instance)
    link = tmp_path / "run-my-jobs"
    link.symlink_to(RUN_JOBS)
    subprocess.run([link, "do_foo", "--config", str(instance.path)], cwd=tmp_path, env={}, check=True, timeout=60)
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-16")
def test_counts_are_told_per_class_and_failures_apart(instance: Instance) -> None:
    for kind in ("value", "user", "suspend"):
        instance.act(("raise", kind))
    instance.act(("write", "x"))
    instance.act(("write", "x"))
    out, err = instance.command("run", "act")
    assert out == ""
    assert re.search(f"^{TIME}INFO    Ran 2 ActJob jobs\\.$", err, re.MULTILINE)
    assert re.search(f"^{TIME}INFO    3 ActJob jobs did not complete\\.$", err, re.MULTILINE)


@pytest.mark.feature("LP-16")
def test_with_nothing_to_do_nothing_is_said(instance: Instance) -> None:
    for _ in range(2):
        assert instance.command("run", "do_foo") == ("", "")


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize(
    ("options", "levels"),
    [
        (["-v"], {"DEBUG", "INFO"}),
        (["-vv"], {"DEBUG", "INFO"}),
        ([], {"INFO"}),
        (["-v", "-q"], {"INFO"}),
        (["-q"], set()),
        (["-qqqq"], set()),
    ],
    ids=lambda value: " ".join(sorted(value)) or "none",
)
@on_sqlite
def test_v_says_more_and_q_says_less(instance: Instance, options: list[str], levels: set[str]) -> None:
    instance.act(("write", "x"))
    instance.act(("raise", "value"))
    out, err = instance.command("run", "act", *options)
    assert out == ""
    assert set(re.findall(f"^{TIME}([A-Z]+) ", err, re.MULTILINE)) == levels


@pytest.mark.feature("LP-16")
@on_sqlite
def test_q_still_says_what_went_wrong(instance: Instance) -> None:
    _, err = instance.command("run", "nothing_here", "-q", expect=2)
    assert "nothing_here" in err


@pytest.mark.feature("LP-12")
@pytest.mark.parametrize("arguments", [[], ["do_foo", "act"], ["do_foo", "--nonsense"], ["--config"]])
@on_sqlite
def test_wrong_arguments_are_a_usage_error(instance: Instance, arguments: list[str]) -> None:
    job = do_foo(instance)
    out, err = instance.command("run", *arguments, expect=2)
    assert out == ""
    assert "usage: " in err
    assert "Traceback" not in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-12")
@on_sqlite
def test_help_is_on_standard_output(instance: Instance) -> None:
    out, err = instance.command("run", "--help")
    assert err == ""
    for part in ("SECTION", "--config", "--verbose", "--quiet", "--fail-on-job-failure"):
        assert part in out


@pytest.mark.parametrize(
    ("kind", "status"), [("value", 1), ("user", 1), ("retryable", 1), ("suspend", 1), ("", 0)], ids=str
)
@on_sqlite
def test_the_status_tells_of_failed_jobs_only_where_it_is_asked_to(
    instance: Instance, kind: str, status: int
) -> None:
    action = ("raise", kind) if kind else ("write", "x")
    instance.act(action)
    instance.command("run", "act", "--fail-on-job-failure", expect=status)
    instance.act(action)
    instance.command("run", "act", expect=0)


# One's own script.

OWN_SCRIPT = '''\
#!{python}
"""Do Foo."""

import sys

sys.path.insert(0, "{tests}")

from fooapp import IDoFooJobSource
from jobcron import JobCronScript, globalErrorUtility


class RunDoFoo(JobCronScript):
    """Run DoFooJob jobs."""

    # Point JobCronScript to the config section that tells it what to do.
    config_name = "do_foo"

    # Tell JobCronScript the jobs utility that finds pending jobs.
    source_interface = IDoFooJobSource

    def main(self):
        globalErrorUtility.configure(self.config_name)
        return super().main()


if __name__ == "__main__":
    script = RunDoFoo()
    script.lock_and_run()
'''


def own_script(folder: Path, source: str = OWN_SCRIPT) -> Path:
    """Write a cron script, and return its file."""
    path = folder / "do-foo.py"
    path.write_text(source.format(python=sys.executable, tests=APPS))
    path.chmod(0o755)
    return path


@pytest.mark.feature("LP-14", "LP-30")
def test_the_wikis_own_cron_script_runs_all_pending_jobs(instance: Instance, tmp_path: Path) -> None:
    job = do_foo(instance)
    script = own_script(tmp_path)
    env = {"JOBCRON_CONFIG": str(instance.path)}
    status, out, err = run_script(script, [], expect_returncode=0, extra_env=env, cwd="/")
    assert (status, out) == (0, "")
    assert "INFO    Ran 1 DoFooJob jobs.\n" in err
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [p.name for p in (instance.state / "locks").iterdir()] == ["do_foo.lock"]
    assert instance.query("SELECT name, completed FROM jobcron_run") == [("do_foo", 1)]
    # Nothing to do: the same script, the short way.
    assert run_script(script, extra_env=env) == (0, "", "")


@pytest.mark.feature("LP-14")
@on_sqlite
def test_ones_own_script_takes_the_configuration_as_an_option_and_no_section(
    instance: Instance, tmp_path: Path
) -> None:
    job = do_foo(instance)
    script = own_script(tmp_path)
    _, _, err = run_script(script, ["do_foo"], 2)
    assert "usage: do-foo.py" in err
    run_script(script, ["--config", str(instance.path)])
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-14")
@on_sqlite
def test_ones_own_script_without_a_config_name_says_so(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace('config_name = "do_foo"', "pass"))
    _, _, err = run_script(script, [], 2, extra_env={"JOBCRON_CONFIG": str(instance.path)})
    assert "expected RunDoFoo to set config_name" in err
    assert "Traceback" not in err


@pytest.mark.feature("LP-14")
@on_sqlite
def test_the_result_of_ones_own_main_is_the_status(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace("return super().main()", "return 7"))
    assert run_script(script, [], 7, extra_env={"JOBCRON_CONFIG": str(instance.path)}) == (7, "", "")


@pytest.mark.feature("LP-14", "LP-26")
@on_sqlite
def test_a_crash_of_ones_own_main_is_reported(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace("return super().main()", "raise ValueError('oh dear')"))
    _, out, err = run_script(script, [], 1, extra_env={"JOBCRON_CONFIG": str(instance.path)})
    (report,) = instance.oopses()
    assert out == ""
    assert report.name in err
    assert "oh dear" in err


# Inside a test.


@pytest.fixture
def configured(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance that the environment names."""
    instance.configure(sections=SECTIONS_IN_TESTS)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    return instance


SECTIONS_IN_TESTS = f"""
[do_foo]
source_interface: fooapp.IDoFooJobSource
[act]
source_interface: fooapp.IActJobSource
[handmade]
source_interface: fooapp.IHandmadeSource
{MAKE}"""


@pytest.fixture
def foo(session: Session) -> Foo:
    """Return a foo that nobody has committed."""
    foo = Foo()
    session.add(foo)
    session.flush()
    return foo


def run_in_test(*arguments: str, logger: logging.Logger | None = None) -> int | None:
    """Run a script as the wiki's test does."""
    script = JobCronScript(test_args=list(arguments), commandline_config=True)
    script.logger = logger or DevNullLogger()
    return script.main()


def committed(instance: Instance) -> list[int]:
    """Return how many rows of each table others can see."""
    with instance.database.reading.connect() as connection:
        tables = ("jobcron_job", "foo_job", "foo", "ledger", "jobcron_event", "jobcron_run", "jobcron_type")
        return [connection.scalars(text(f"SELECT count(*) FROM {table}")).one() for table in tables]


@pytest.mark.feature("LP-15")
def test_job_runner_runs_job(configured: Instance, session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    # Tell JobCronScript to take its configuration from the config section named on the command line.
    script = JobCronScript(test_args=["do_foo"], commandline_config=True)
    # Suppress test noise.
    script.logger = DevNullLogger()
    # Run pending jobs.
    script.main()
    # This particular job completes successfully.
    assert job.context.job.status is JobStatus.COMPLETED
    assert (job.context.job.attempt_count, foo.frozzled) == (1, 1)
    assert job.context.job.date_finished is not None


@pytest.mark.feature("LP-15")
def test_a_script_in_a_test_commits_nothing(configured: Instance, session: Session, foo: Foo) -> None:
    before = committed(configured)
    DoFooJob.create(foo)
    ActJob.create(foo, metadata={"do": [["write", "x"], ["checkpoint", ""], ["write", "y"]]})
    run_in_test("do_foo")
    run_in_test("act")
    assert session.scalars(select(Ledger.note)).all() == ["", "x", "y"]
    assert committed(configured) == before
    session.rollback()
    assert session.scalars(select(Job.id)).all() == []


@pytest.mark.feature("LP-15")
def test_a_script_in_a_test_says_what_a_script_says(configured: Instance, session: Session, foo: Foo) -> None:
    DoFooJob.create(foo)
    logger = BufferLogger()
    assert run_in_test("do_foo", logger=logger) == 0
    assert "INFO    Ran 1 DoFooJob jobs.\n" in logger.getLogBuffer()
    assert not (configured.state / "locks").exists()


@pytest.mark.feature("LP-15")
def test_a_failing_job_in_a_test_is_undone_and_its_neighbours_are_not(
    configured: Instance, session: Session, foo: Foo
) -> None:
    before = committed(configured)
    foo.name = "changed before, not flushed"
    first = ActJob.create(foo, metadata={"do": [["write", "first"]]})
    bad = ActJob.create(
        foo, metadata={"do": [["write", "undone"], ["raise", "value"]], "tell": ["me@example.com"]}
    )
    late = ActJob.create(foo, metadata={"do": [["write", "kept"], ["checkpoint", ""], ["raise", "user"]]})
    broken = ActJob.create(foo, metadata={"do": [["write", "undone"], ["sql", "SELECT nonsense FROM nowhere"]]})
    last = ActJob.create(foo, metadata={"do": [["write", "last"]]})
    logger = BufferLogger()
    assert run_in_test("act", "--fail-on-job-failure", logger=logger) == 1
    statuses = [job.context.job.status for job in (first, bad, late, broken, last)]
    done, failed = JobStatus.COMPLETED, JobStatus.FAILED
    assert statuses == [done, failed, failed, failed, done]
    assert session.scalars(select(Ledger.note).order_by(Ledger.id)).all() == ["first", "kept", "last"]
    assert foo.name == "changed before, not flushed"
    assert bad.context.job.oops_id in {path.name for path in configured.oopses()}
    (mail,) = outbox()
    assert mail["To"] == "me@example.com"
    assert str(bad.context.job.oops_id) in mail.get_content()
    assert not (configured.path / "mail").exists()
    assert "3 ActJob jobs did not complete." in logger.getLogBuffer()
    assert committed(configured) == before


@pytest.mark.feature("LP-15", "LP-21", "LP-22")
def test_retry_and_suspension_in_a_test(configured: Instance, session: Session, foo: Foo) -> None:
    retried = ActJob.create(foo, metadata={"do": [["write", "x"], ["raise", "retryable"]]})
    suspended = ActJob.create(foo, metadata={"do": [["write", "x"], ["raise", "suspend"]]})
    run_in_test("act")
    assert (retried.context.job.status, retried.context.job.attempt_count) == (JobStatus.WAITING, 1)
    assert retried.context.job.scheduled_start > retried.context.job.date_created
    assert suspended.context.job.status is JobStatus.SUSPENDED
    assert session.scalars(select(Ledger.id)).all() == []


@pytest.mark.feature("LP-15")
def test_jobs_made_inside_a_job_in_a_test_run_as_well(configured: Instance, session: Session) -> None:
    before = committed(configured)
    MakeJob.create(session=session, metadata={"more": 2})
    logger = BufferLogger()
    run_in_test("make", logger=logger)
    assert "Ran 3 MakeJob jobs." in logger.getLogBuffer()
    assert len(list(DoFooJob.iterReady())) == 3
    run_in_test("do_foo", logger=logger)
    assert "Ran 3 DoFooJob jobs." in logger.getLogBuffer()
    assert set(session.scalars(select(Job.status))) == {JobStatus.COMPLETED}
    assert committed(configured) == before


@pytest.mark.feature("LP-15")
def test_jobs_made_inside_a_job_that_fails_in_a_test_never_existed(configured: Instance, session: Session) -> None:
    MakeJob.create(session=session, metadata={"more": 2, "fail": True})
    run_in_test("make")
    assert session.scalars(select(Job.status)).all() == [JobStatus.FAILED]
    assert session.scalars(select(Foo.id)).all() == []


@pytest.mark.feature("LP-15", "LP-05")
def test_a_source_made_by_hand_runs_in_a_test(configured: Instance, session: Session, foo: Foo) -> None:
    from fooapp import handmade_source

    good, bad = handmade_source.create(foo), handmade_source.create(foo, fail=True)
    run_in_test("handmade")
    assert (good.job.status, bad.job.status) == (JobStatus.COMPLETED, JobStatus.FAILED)
    assert session.scalars(select(Ledger.job)).all() == [good.job.id]


@pytest.mark.feature("LP-15")
def test_a_script_can_run_again_and_again_in_one_test(configured: Instance, session: Session, foo: Foo) -> None:
    for _ in range(3):
        DoFooJob.create(foo)
        run_in_test("do_foo")
    assert foo.frozzled == 3


@pytest.mark.feature("LP-15")
def test_without_a_session_a_script_in_a_test_sees_committed_rows(configured: Instance) -> None:
    job = do_foo(configured)
    with configured.database.session() as open_session:
        if configured.database.dialect == "postgresql":  # on SQLite one transaction writes at a time
            DoFooJob.create(configured.foo(open_session), session=open_session)
        else:
            open_session.rollback()
        logger = BufferLogger()
        run_in_test("do_foo", logger=logger)
        open_session.rollback()
    assert "Ran 1 DoFooJob jobs." in logger.getLogBuffer()
    assert configured.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-15")
def test_bad_input_of_a_script_in_a_test_is_raised(configured: Instance) -> None:
    with pytest.raises(SystemExit) as caught:
        JobCronScript(test_args=[], commandline_config=True)
    assert caught.value.code == 2


# Bad input, each as a real process.


def refused(instance: Instance, *arguments: str, expect: int, env: dict[str, str] | None = None) -> str:
    """Run a section that cannot be run; return the message."""
    out, err = instance.command("run", *(arguments or ("do_foo",)), expect=expect, extra_env=env or {})
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2, err
    assert re.match(f"({TIME})?ERROR   ", err), err
    return err


def untouched(instance: Instance, job: int) -> None:
    """Check that nothing became of a job."""
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.lease_token, row.log) == (JobStatus.WAITING, 0, 0, None)
    assert instance.events(job) == []


def reconfigure(instance: Instance, **keys: str) -> None:
    """Replace lines of the configuration."""
    path = instance.path / "jobcron.conf"
    content = path.read_text()
    for key, value in keys.items():
        content, times = re.subn(f"^{key}: .*$", f"{key}: {value}".replace("\\", r"\\"), content, flags=re.M)
        assert times, key
    path.write_text(content)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_an_unknown_section_is_refused(instance: Instance) -> None:
    job = do_foo(instance)
    message = refused(instance, "do_bar", expect=2)
    for part in (f"{instance.path}/jobcron.conf", "[do_bar]", "do_foo"):
        assert part in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("name", ["../../etc/passwd", "jobcron", "meta", "job_section", "do_foo.lock", "\x1b[31m"])
@on_sqlite
def test_what_is_no_section_of_jobs_is_refused_before_it_meets_a_path(instance: Instance, name: str) -> None:
    message = refused(instance, name, expect=2)
    assert "found none" in message
    assert "\x1b" not in message
    assert not (instance.state / "locks").exists()


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_configuration_without_sections_is_refused(instance: Instance) -> None:
    instance.configure(sections="")
    assert "the sections of jobs are: none" in refused(instance, expect=2)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("nonsense: 1", "unknown key nonsense"),
        ("crash_limit: many", "key crash_limit: expected a whole number"),
        ("activity_interval: 99999999999999d", "key activity_interval: expected a time"),
    ],
)
@on_sqlite
def test_a_wrong_key_is_refused(instance: Instance, line: str, part: str) -> None:
    job = do_foo(instance)
    instance.configure(f"{line}\n")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "[jobcron]", part):
        assert expected in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_missing_instance_is_refused(instance: Instance) -> None:
    message = refused(instance, expect=2, env={"JOBCRON_CONFIG": "/no/such/place"})
    assert "JOBCRON_CONFIG" in message
    assert "/no/such/place" in message


@pytest.mark.feature("LP-29", "LP-12")
@pytest.mark.parametrize(
    ("interface", "part"),
    [
        ("", "expected the dotted name of a source interface or of a job class, got nothing"),
        ("no_such_module.IFoo", "expected the module no_such_module to be importable"),
        ("fooapp.no_such_module.IFoo", "expected the module fooapp.no_such_module to be importable"),
        ("fooapp.INoSuch", "expected INoSuch in fooapp to be an interface or a job class, found no such name"),
        ("INoModule", "of an interface or a job class, got: INoModule"),
        ("fooapp.INobodysSource", "expected somebody to provide fooapp.INobodysSource, found nobody"),
        ("fooapp.Foo", "expected an interface or a class with iterReady, got fooapp.Foo"),
    ],
)
@on_sqlite
def test_a_source_that_is_not_to_be_had_is_refused(instance: Instance, interface: str, part: str) -> None:
    job = do_foo(instance)
    instance.configure(sections=f"[do_foo]\nsource_interface: {interface}\n")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "section [do_foo]", "key source_interface", part):
        assert expected in message
    if "Nobody" in interface:
        assert "[jobcron] application" in message  # how the application is named
        assert "(now: fooapp:register)" in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("application", "part"),
    [
        ("no_such_app", "expected the module no_such_app to be importable"),
        ("fooapp:no_such_callable", "expected no_such_callable in fooapp to be a callable"),
        ("fooapp:WRITE_NOTHING.deeper", "expected WRITE_NOTHING.deeper in fooapp to be a callable"),
        ("needs_more_app", "no_such_module"),
    ],
)
@on_sqlite
def test_an_application_that_cannot_be_imported_is_refused(
    instance: Instance, application: str, part: str
) -> None:
    job = do_foo(instance)
    (instance.path / "needs_more_app.py").write_text("import no_such_module\n")
    reconfigure(instance, application=application, python_path=f"{APPS} {instance.path}")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "section [jobcron], key application", part):
        assert expected in message
    untouched(instance, job)


@pytest.mark.feature("LP-26")
@on_sqlite
def test_an_application_that_is_broken_is_a_crash_with_a_report(instance: Instance) -> None:
    job = do_foo(instance)
    (instance.path / "brokenapp.py").write_text("1 / 0\n")
    reconfigure(instance, application="brokenapp", python_path=str(instance.path))
    _, err = instance.command("run", "do_foo", expect=1)
    assert "brokenapp.py" in err
    (report,) = instance.oopses()
    assert report.name in err
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_runner_class_that_is_not_to_be_had_is_refused(instance: Instance) -> None:
    job = do_foo(instance)
    for name, found in {
        "NoSuchRunner": "got: NoSuchRunner",
        "no_such_module.Runner": "found no module no_such_module",
        "fooapp.Foo": "found the class fooapp.Foo",
    }.items():
        instance.configure(sections=f"[do_foo]\nsource_interface: fooapp.IDoFooJobSource\nrunner_class: {name}\n")
        message = refused(instance, expect=2)
        for part in (f"{instance.path}/jobcron.conf", "section [do_foo], key runner_class", found):
            assert part in message
    untouched(instance, job)


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_database_that_is_absent_is_named(instance: Instance, by_environment: bool) -> None:
    if instance.database.dialect == "sqlite":
        url, place = f"sqlite:///{instance.path}/missing/foo.db", "missing/foo.db"
    else:
        port = free_port()
        url, place = f"postgresql://me:c4nary-pw@127.0.0.1:{port}/foo", f"127.0.0.1:{port}/foo"
    env = {"JOBCRON_DATABASE_URL": url} if by_environment else {}
    if not by_environment:
        reconfigure(instance, database_url=url)
    first = refused(instance, expect=1, env=env)
    _, second = instance.command("run", "do_foo", "-v", expect=1, extra_env=env)
    for message in (first, second):
        assert "cannot connect to the database" in message
        assert place in message
        assert "c4nary" not in message
    assert not (instance.path / "missing").exists()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_that_refuses_is_named_with_its_reason(instance: Instance) -> None:
    job = do_foo(instance)
    instance.configure(sections="[plain]\nsource_interface: fooapp.IDoFooJobSource\n")  # no role: the URL's user
    url = instance.database.engine.url
    for wrong, reason in (
        (url.set(database="no_such_db"), 'database "no_such_db" does not exist'),
        (url.set(username="no_such_role", password="c4nary-pw"), 'role "no_such_role" does not exist'),
    ):
        reconfigure(instance, database_url=wrong.render_as_string(hide_password=False))
        message = refused(instance, "plain", expect=1)
        assert "cannot connect to the database" in message
        assert reason in message
        assert "c4nary" not in message
    untouched(instance, job)


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/db", "postgresql://u:c4nary-pw@h:abc/db"])
@on_sqlite
def test_a_url_in_the_environment_that_is_none_is_refused_with_its_variable(instance: Instance, url: str) -> None:
    job = do_foo(instance)
    message = refused(instance, expect=2, env={"JOBCRON_DATABASE_URL": url})
    assert "JOBCRON_DATABASE_URL" in message
    assert "expected" in message
    assert "c4nary" not in message
    untouched(instance, job)


@on_sqlite
def test_an_sqlite_file_that_is_no_database_is_named(instance: Instance) -> None:
    path = instance.path / "text.db"
    path.write_text("This is a text, and not a short one, of more than a hundred bytes. " * 3)
    reconfigure(instance, database_url=f"sqlite:///{path}")
    message = refused(instance, expect=1)
    assert str(path) in message
    assert path.read_text().startswith("This is a text")


def test_a_schema_that_is_missing_is_refused_with_the_way_to_make_it(instance: Instance) -> None:
    instance.query("DROP TABLE jobcron_schema_version")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    for part in ("expected jobcron's tables in the database", "found none", "jobcron upgrade"):
        assert part in message
    untouched(instance, job)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_database_is_refused_with_the_way_to_fill_it(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    reconfigure(instance, database_url=f"sqlite:///{path}")
    message = refused(instance, expect=1)
    assert str(path) in message
    assert "jobcron upgrade" in message


def test_a_schema_of_another_version_is_refused(instance: Instance) -> None:
    instance.query("UPDATE jobcron_schema_version SET version_num = '9999', oldest_code = '9999'")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    assert "9999" in message
    assert "expected jobcron's tables" in message
    untouched(instance, job)


@pytest.mark.parametrize("key", ["state_dir", "lock_dir"])
@pytest.mark.parametrize("wrong", ["a file", "below a file", "writable by everybody"])
@on_sqlite
def test_a_directory_that_cannot_be_used_is_named(
    instance: Instance, tmp_path: Path, key: str, wrong: str
) -> None:
    job = do_foo(instance)
    place = tmp_path / "place"
    if wrong == "writable by everybody":
        place.mkdir()
        place.chmod(0o777)
    else:
        place.write_text("")
    directory = place / "deeper" if wrong == "below a file" else place
    if key == "state_dir":
        reconfigure(instance, state_dir=str(directory))
    else:
        instance.configure(f"{key}: {directory}\n")
    message = refused(instance, expect=1)
    assert str(directory) in message
    assert "expected" in message
    untouched(instance, job)


def test_an_oops_directory_that_cannot_be_used_loses_no_job(instance: Instance, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o777)
    jobs = [instance.act(("raise", "value")), instance.act(("write", "x"))]
    instance.configure(f"error_dir: {place}\n")
    _, err = instance.command("run", "act")
    assert [instance.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert "chmod o-w" in err
    assert list(place.iterdir()) == []


@on_sqlite
def test_a_crash_whose_report_cannot_be_written_is_in_the_log(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (instance.path / "brokenapp.py").write_text("raise ValueError('password=c4nary-pw oh dear')\n")
    instance.configure(f"error_dir: {tmp_path}/file/deeper\n")
    reconfigure(instance, application="brokenapp", python_path=str(instance.path))
    _, err = instance.command("run", "do_foo", expect=1)
    assert "oh dear" in err
    assert f"{tmp_path}/file/deeper" in err
    assert "c4nary" not in err


@pytest.mark.feature("LP-16")
@on_sqlite
def test_control_characters_do_not_reach_the_log(instance: Instance) -> None:
    (instance.path / "oddapp.py").write_text(
        textwrap.dedent("""
        from fooapp import *
        class Odd(ActJob):
            class_job_type = None
            def run(self):
                raise UserError("red\\x1b[31m bell\\x07 line\\nINFO    Ran 7 forged jobs.")
        ActJob.run = Odd.run
        """)
    )
    reconfigure(instance, application="oddapp", python_path=f"{APPS} {instance.path}")
    instance.act()
    _, err = instance.command("run", "act", "-v")
    assert "red\\x1b[31m bell\\x07" in err
    assert not re.search("[\x00-\x08\x0b-\x1f]", err)
    assert not re.search("^INFO    Ran 7 forged jobs", err, re.MULTILINE)


@pytest.mark.feature("LP-16")
@on_sqlite
def test_the_testrunner_instance_logs_without_times(instance: Instance, tmp_path: Path) -> None:
    do_foo(instance)
    folder = tmp_path / "testrunner-mine"
    folder.mkdir()
    instance.path.joinpath("jobcron.conf").rename(folder / "jobcron.conf")
    _, _, err = run_script(RUN_JOBS, ["--config", str(folder), "do_foo"])
    assert err == "INFO    Ran 1 DoFooJob jobs.\n"


@pytest.mark.feature("LP-01")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_script_looks_for_no_garbage_in_what_it_imported_and_a_test_s_process_is_left_alone(
    instance: Instance, tmp_path: Path
) -> None:
    script = tmp_path / "act.py"
    script.write_text(
        f"#!{sys.executable}\nimport atexit, gc, sys\nfrom jobcron.scripts.job_script import JobCronScript\n"
        "def seen(name): return any(thing is vars(sys.modules[name]) for thing in gc.get_objects())\n"
        "atexit.register(lambda: print(*map(seen, ('sqlalchemy', 'fooapp')), gc.get_threshold()[0]))\n"
        "JobCronScript(commandline_config=True).lock_and_run()\n"
    )
    script.chmod(0o755)
    instance.act(("write", "x"))
    _, out, _ = run_script(script, ["act"], extra_env={"JOBCRON_CONFIG": str(instance.path)})
    assert out == f"False False {gc.get_threshold()[0]}\n"
    instance.act(("write", "x"))
    before = gc.get_freeze_count()
    instance.run("act")
    assert gc.get_freeze_count() <= before
    assert len(instance.ledger()) == 2
