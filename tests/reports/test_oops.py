"""OOPS reports: what is in them, where they are, what is never in them (LP-25, LP-11)."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from fooapp import DoFooJob
from instances import Instance
from jobcron import BaseRunnableJob, DirectoryError, Job, JobStatus, JobType, globalErrorUtility
from jobcron.commands._oops import show_reports
from jobcron.queue.loading import effects_of
from jobcron.reports._publishers import DateDirectory
from jobcron.reports.oops import ErrorUtility
from paths import JOBCRON

SECTIONS = f"""
[act]
source_interface: fooapp.IActJobSource

[do_foo]
source_interface: fooapp.IDoFooJobSource

[fail]
source_interface: {__name__}.FailJob
"""


class OopsJobType(JobType):
    """Types of jobs for these tests."""

    FAIL = 1


class TheUsersFault(Exception):
    """An error that is mailed."""


class Nasty(Exception):
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no text either")


class Unbearable:
    """Cannot be shown at all."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def itself() -> list[Any]:
    """Return a list that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    return loop


ODD_VARIABLES: dict[str, Any] = {
    "not pairs": ["a", "b"],
    "names that are no texts": [(5, "five"), (None, "none")],
    "a loop": [("loop", itself())],
    "unbearable": [("thing", Unbearable())],
    "huge": [("blob", "x" * 5_000_000)],
    "many": [(f"n{n}", n) for n in range(100_000)],
    "surrogates": [("s\udc80", "v\udc80\0")],
    "nothing": None,
    "nan": [("n", float("nan")), ("i", float("inf"))],
}


class FailJob(BaseRunnableJob[Job]):
    """Fails as its data says."""

    class_job_type = OopsJobType.FAIL
    user_error_types = (TheUsersFault,)
    retry_delay = timedelta(hours=1)

    def run(self) -> None:
        """Raise something."""
        message = self.metadata.get("message", "")
        message = message.replace("<surrogate>", "\udc80").replace("<nul>", "\0")
        match self.metadata["kind"]:
            case "value":
                raise ValueError(message * self.metadata.get("times", 1))
            case "user":
                raise TheUsersFault(message * self.metadata.get("times", 1))
            case "nasty":
                raise Nasty
            case "chain":
                try:
                    try:
                        raise KeyError("the root")
                    except KeyError as error:
                        raise LookupError("the cause") from error
                except LookupError:
                    self.metadata["unknown"]["key"]  # a context, not a cause
            case "group":
                raise ExceptionGroup("two at once", [ValueError("the first"), Nasty(), KeyError("the third")])
            case "loop":
                first, second = ValueError("first"), ValueError("second")
                first.__cause__, second.__cause__ = second, first
                raise first

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell what the data says."""
        if "odd" in self.metadata:
            return cast(list[tuple[str, object]], ODD_VARIABLES[self.metadata["odd"]])
        return [*super().getOopsVars(), *self.metadata.get("vars", {}).items()]

    def getErrorRecipients(self) -> list[str]:
        """Tell somebody."""
        if self.metadata.get("bad_mail"):
            raise ValueError(self.metadata["bad_mail"])
        return ["boss@example.com"]


def fail(instance: Instance, kind: str = "value", **data: Any) -> int:
    """Commit a job that fails so, and return its number."""
    instance.configure(sections=SECTIONS)
    with instance.session() as session:
        return int(FailJob.create(session=session, metadata={"kind": kind, **data}).job.id)


def report_of(instance: Instance) -> dict[str, Any]:
    """Return the one report that there is."""
    (path,) = instance.oopses()
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def details(instance: Instance, job: int) -> str:
    """Return the details of a job's events."""
    return "\n".join(d or "" for (d,) in instance.query("SELECT detail FROM jobcron_event WHERE job = :j", j=job))


@pytest.mark.feature("LP-25", "LP-19")
def test_a_report_says_what_happened_where_and_with_what(instance: Instance) -> None:
    before = datetime.now(UTC)
    job = instance.act(("write", "parameter-canary"), ("sleep", 0.05), ("chain", ""))
    instance.run("act")
    row = instance.row(job)
    (path,) = instance.oopses()
    report = json.loads(path.read_text())
    assert (report["type"], report["value"]) == ("ValueError", "the consequence")
    lines = report["tb_text"]
    assert lines[0].startswith("Traceback (most recent call last)")
    assert lines[-1] == "ValueError: the consequence"
    assert "KeyError: 'the cause'" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert any("act_chain" in line for line in lines)
    assert report["req_vars"] == {
        "job_id": job,
        "job_type": "foo_job.ACT",
        "job_uuid": str(row.uuid),
        "attempt_count": 1,
        "effects": effects_of(False, row.uuid),
    }
    assert report["hostname"] == socket.gethostname()
    assert report["reporter"] == "T-act"
    assert 0.05 <= report["duration"] < 30
    assert before <= datetime.fromisoformat(report["time"]) <= datetime.now(UTC)
    assert report["id"] == path.name == row.oops_id == f"OOPS-T{job}-1-{str(row.uuid)[:8]}"


@pytest.mark.feature("LP-25")
def test_the_timeline_has_the_statements_and_not_their_parameters(instance: Instance) -> None:
    instance.act(("write", "parameter-canary"), ("sql", "SELECT 42 AS before_the_end"), ("raise", "value"))
    instance.run("act")
    timeline = report_of(instance)["timeline"]
    statements = [detail for _, _, _, detail in timeline]
    assert any(s.startswith("INSERT INTO ledger") for s in statements)
    assert statements[-1] == "SELECT 42 AS before_the_end"
    times = [(start, stop) for start, stop, _, _ in timeline]
    assert times == sorted(times)
    assert all(0 <= start <= stop for start, stop in times)
    assert {category for _, _, category, _ in timeline} == {"SQL"}
    assert "parameter-canary" not in json.dumps(report_of(instance))


@pytest.mark.feature("LP-25")
def test_the_timeline_is_that_of_the_job_that_failed(instance: Instance) -> None:
    instance.act(("sql", "SELECT 1 AS the_neighbours"))
    instance.act(("sql", "SELECT 2 AS its_own"), ("raise", "value"))
    instance.run("act")
    text = json.dumps(report_of(instance)["timeline"])
    assert "its_own" in text
    assert "the_neighbours" not in text


@pytest.mark.feature("LP-11")
def test_a_report_has_what_the_family_tells(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        job = DoFooJob.create(foo, session=session)
        numbers = (foo.id, job.context.id)
        assert set(job.getOopsVars()) >= {("foo_id", numbers[0]), ("foo_job_type", "Do foo")}
    instance.query("ALTER TABLE ledger RENAME TO elsewhere")
    instance.run("do_foo")
    variables = report_of(instance)["req_vars"]
    assert (variables["foo_id"], variables["foo_job_id"]) == numbers
    assert variables["foo_job_type"] == "Do foo"
    assert variables["job_type"] == "foo_job.DO_FOO"


@pytest.mark.feature("LP-25")
def test_reports_are_in_a_folder_per_day_for_their_user_alone(instance: Instance) -> None:
    instance.act(("raise", "value"))
    before = datetime.now(UTC)
    old = os.umask(0)
    try:
        instance.run("act")
    finally:
        os.umask(old)
    (path,) = instance.oopses()
    days = {moment.strftime("%Y-%m-%d") for moment in (before, datetime.now(UTC))}
    assert path.parent.name in days
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing temporary is left
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


@pytest.mark.feature("LP-26")
def test_a_section_has_its_own_prefix_and_directory(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("raise", "value"))
    instance.configure(
        sections=f"[act]\nsource_interface: fooapp.IActJobSource\noops_prefix: OWN\nerror_dir: {tmp_path}/own\n"
    )
    instance.run("act")
    (path,) = (tmp_path / "own").glob("*/*")
    assert path.name == instance.row(job).oops_id
    assert path.name.startswith(f"OOPS-OWN{job}-1-")
    assert json.loads(path.read_text())["reporter"] == "OWN-act"
    assert instance.oopses() == []


@pytest.mark.feature("LP-25")
def test_equal_failures_have_a_report_each(instance: Instance) -> None:
    jobs = [instance.act(("raise", "value")) for _ in range(3)]
    instance.run("act")
    assert {p.name for p in instance.oopses()} == {instance.row(job).oops_id for job in jobs}
    assert len(instance.oopses()) == 3


@pytest.mark.feature("LP-25")
def test_causes_and_contexts_are_all_in_the_traceback(instance: Instance) -> None:
    fail(instance, "chain")
    instance.run("fail")
    text = "\n".join(report_of(instance)["tb_text"])
    for part in ("KeyError: 'the root'", "LookupError: the cause", "KeyError: 'unknown'"):
        assert part in text
    assert "direct cause" in text
    assert "During handling of the above exception" in text


@pytest.mark.feature("LP-25")
def test_the_members_of_a_group_are_all_in_the_traceback(instance: Instance) -> None:
    job = fail(instance, "group")
    instance.run("fail")
    report = report_of(instance)
    assert report["type"] == "ExceptionGroup"
    assert report["value"].startswith("two at once")
    text = "\n".join(report["tb_text"])
    for part in ("ValueError: the first", "Nasty", "KeyError: 'the third'"):
        assert part in text
    assert instance.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(("kind", "type_name"), [("nasty", "Nasty"), ("loop", "ValueError")])
def test_an_error_that_is_hard_to_print_is_reported_all_the_same(
    instance: Instance, kind: str, type_name: str
) -> None:
    job = fail(instance, kind)
    instance.run("fail")
    report = report_of(instance)
    assert report["type"] == type_name
    assert any("in run" in line for line in report["tb_text"])
    row = instance.row(job)
    assert (row.status, row.oops_id) == (JobStatus.FAILED, report["id"])


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
@pytest.mark.parametrize("text", ["a<surrogate>b", "a<nul>b", "a\x1b[31m\x07\rb", "a\u2028b\U0001f600"], ids=ascii)
def test_odd_characters_in_a_message_change_nothing_about_the_outcome(
    instance: Instance, text: str, kind: str
) -> None:
    job = fail(instance, kind, message=text)
    neighbour = fail(instance, "value", message="neighbour")
    log = instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.FAILED
    assert row.log is not None
    assert instance.events(job) == ["failed" if kind == "value" else "user error"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", log)
    if kind == "value":
        (path,) = (p for p in instance.oopses() if p.name == row.oops_id)
        value = json.loads(path.read_text(encoding="utf-8"))["value"]
        assert value.startswith("a")
        assert value.endswith(("b", "\U0001f600"))


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_a_huge_message_is_bounded_everywhere(instance: Instance, kind: str) -> None:
    job = fail(instance, kind, message="0123456789", times=500_000)
    log = instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert len(row.log or "") < 50_000
    assert len(log) < 500_000
    assert len(details(instance, job)) < 500_000
    for path in instance.oopses():
        assert path.stat().st_size < 1_000_000
    for path in (instance.path / "mail").iterdir():
        assert path.stat().st_size < 1_000_000


@pytest.mark.feature("LP-25", "LP-11")
@pytest.mark.parametrize("odd", ODD_VARIABLES)
def test_variables_that_cannot_be_shown_do_not_cost_the_report(instance: Instance, odd: str) -> None:
    job = fail(instance, "value", message="it failed", odd=odd)
    neighbour = fail(instance, "value")
    instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.FAILED
    (path,) = (p for p in instance.oopses() if p.name == row.oops_id)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["value"] == "it failed"
    assert len(text) < 1_000_000


# Nothing secret in them.

CANARY = "c4nary-s3cret"


def everything_written(instance: Instance, log: str) -> str:
    """Return all that a run wrote: reports, mail, log, rows."""
    texts = [log]
    for folder in ("state", "mail"):
        files = [p for p in (instance.path / folder).rglob("*") if p.is_file()]
        texts += [p.read_bytes().decode("utf-8", "replace") for p in files if p.name != "compiled-settings.json"]
    for table in ("jobcron_event", "jobcron_run"):
        texts += [repr(row) for row in instance.query(f"SELECT * FROM {table}")]
    texts += [repr(row) for row in instance.query("SELECT log, result, description, oops_id FROM jobcron_job")]
    return "\n".join(texts)


def leaks(instance: Instance, log: str) -> list[str]:
    """Return the canaries that a run let out, in some words around them."""
    text = everything_written(instance, log)
    assert "it failed" in text
    return sorted({match[0] for match in re.finditer(rf".{{0,20}}{CANARY}\w*", text)})


@pytest.mark.feature("LP-25")
def test_a_report_survives_a_crash_of_the_machine_and_so_do_the_folders_that_it_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    publish = DateDirectory(tmp_path / "new" / "oops")
    publish({"id": "OOPS-1", "time": datetime(2026, 11, 25, tzinfo=UTC)})
    made = [str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "oops")]
    assert synced[:3] == made
    assert synced[-1] == f"{made[-1]}/2026-11-25"
    assert len(synced) == len(made) + 2  # the file


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_what_looks_like_a_secret_in_a_message_is_hidden(instance: Instance, kind: str) -> None:
    for message in (
        f"password={CANARY}A",
        f"Password: '{CANARY}B'",
        f"could not connect to postgresql://me:{CANARY}C@host/db",
        f"smtp://me:{CANARY}D@host refused",
        f'{{"api_key": "{CANARY}E"}}',
        f"secret = {CANARY}F, and more",
        f"Authorization: Bearer {CANARY}G",
        f"token={CANARY}H",
        f"host=db user=me password={CANARY}I dbname=x",
        f"postgresql://host/db?user=me&password={CANARY}J&sslmode=disable",
        f"redis://:{CANARY}K@host/0",
    ):
        fail(instance, kind, message=f"it failed: {message}")
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    names = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SMTP_PASSWD", "API_KEY")
    for number, name in enumerate(names):
        monkeypatch.setenv(name, f"{CANARY}{number}")
        fail(instance, kind, message=f"it failed with {CANARY}{number}.", vars={"harmless": f"x{CANARY}{number}"})
    log = instance.run("fail", "-v")
    assert leaks(instance, log) == []
    assert everything_written(instance, log).count("it failed with ***.") >= len(names)


@pytest.mark.feature("LP-25")
def test_a_secret_is_hidden_in_the_names_of_variables_too(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    fail(instance, message="it failed", vars={"deep": {CANARY: 1}, f"n{CANARY}": 2, "list": [[CANARY]]})
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
def test_a_variable_whose_name_says_that_it_is_secret_is_hidden(instance: Instance) -> None:
    names = ["api_key", "API-KEY", "apiKey", "password", "db_passwd", "token", "Cookie", "dsn", "private-key"]
    values = {name: f"{CANARY}{name}" for name in names}
    fail(instance, message="it failed", vars={**values, "deep": [values], "lease_token": 7})
    assert leaks(instance, instance.run("fail", "-v")) == []
    variables = report_of(instance)["req_vars"]
    hidden = dict.fromkeys(names, "***")
    assert {name: variables[name] for name in names} == hidden
    assert (variables["deep"], variables["lease_token"]) == ([hidden], 7)


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
@pytest.mark.parametrize("where", ["plain", "escaped", "query"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_password_of_the_database_is_hidden_wherever_it_stands(
    instance: Instance, kind: str, where: str
) -> None:
    # The test server trusts everybody, so any password does.
    shown = {"plain": CANARY, "escaped": f"{CANARY}/@:", "query": CANARY}[where]
    url = instance.database.engine.url
    url = url.update_query_dict({"password": shown}) if where == "query" else url.set(password=shown)
    instance.url = url.render_as_string(hide_password=False)
    fail(instance, kind, message=f"it failed with {shown}.", vars={"harmless": shown})
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
def test_a_password_of_the_mail_server_is_hidden(instance: Instance, tmp_path: Path) -> None:
    fail(instance, "value", message=f"it failed with {CANARY}.")
    path = instance.path / "jobcron.conf"
    path.write_text(re.sub("^mail: .*$", f"mail: smtp://me:{CANARY}@127.0.0.1:1", path.read_text(), flags=re.M))
    log = instance.run("fail", "-v")
    assert "could be told" in log
    assert CANARY not in everything_written(instance, log)


@pytest.mark.feature("LP-25")
def test_an_error_while_telling_people_is_logged_without_secrets(instance: Instance) -> None:
    job = fail(instance, bad_mail=f"mail failed: password={CANARY}")
    log = instance.run("fail", "-v")
    assert instance.row(job).status is JobStatus.FAILED
    assert "mail failed" in log
    assert CANARY not in everything_written(instance, log)


@pytest.mark.feature("LP-25")
def test_the_environment_is_not_in_a_report(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBCRON_TEST_HARMLESS", CANARY)
    fail(instance)
    assert CANARY not in everything_written(instance, instance.run("fail", "-v"))


# Where reports cannot be written.


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("place", ["itself", "below", "day"])
def test_without_a_directory_the_report_is_in_the_history_and_on_standard_error(
    instance: Instance, tmp_path: Path, place: str
) -> None:
    blocked = tmp_path / "blocked"
    if place == "day":
        blocked.mkdir(mode=0o700)
        for days in (0, 1):
            (blocked / (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")).write_text("")
    else:
        blocked.write_text("a file")
    directory = blocked / "deeper" if place == "below" else blocked
    jobs = [instance.act(("write", "x"), ("chain", "")), instance.act(("write", "y"))]
    instance.configure(f"error_dir: {directory}\n")
    _, err = instance.command("run", "act")
    row = instance.row(jobs[0])
    assert row.status is JobStatus.FAILED
    assert instance.row(jobs[1]).status is JobStatus.COMPLETED
    assert row.oops_id is not None
    assert instance.events(jobs[0]) == ["failed"]
    (oops_id,) = instance.query("SELECT oops_id FROM jobcron_event WHERE job = :j", j=jobs[0])[0]
    assert oops_id == row.oops_id
    for text in (details(instance, jobs[0]), err):
        assert str(blocked) in text
        start = text.index('{"')
        report, _ = json.JSONDecoder().raw_decode(text[start:])
        assert report["id"] == row.oops_id
        assert (report["type"], report["value"]) == ("ValueError", "the consequence")
        assert "KeyError: 'the cause'" in "".join(report["tb_text"])
        assert report["req_vars"]["job_id"] == jobs[0]
        assert any("INSERT INTO ledger" in detail for *_, detail in report["timeline"])
    assert "Traceback (most recent call last)" not in err.split("could not be published")[0]


@pytest.mark.feature("LP-25")
def test_a_report_that_nothing_takes_is_in_the_history(instance: Instance, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    job = instance.act(("raise", "value"))
    instance.configure(f"error_dir: {blocked}\n")
    with open("/dev/full", "w") as full:  # quiet: nothing was written there before that would have been noticed
        command = [str(JOBCRON), "run", "-q", "-q", "act", "--config", str(instance.path)]
        assert subprocess.run(command, stderr=full, timeout=60, check=False).returncode == 0
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert f'"id": "{row.oops_id}"' in details(instance, job)


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"id": "x"}'])
def test_what_is_no_report_in_the_history_is_not_shown_as_one(instance: Instance, text: str) -> None:
    job = instance.act(("raise", "value"))
    instance.query(
        "INSERT INTO jobcron_event (job, at, actor, kind, detail, oops_id, lease_token) "
        "VALUES (:job, CURRENT_TIMESTAMP, 'x', 'failed', :detail, 'OOPS-T1', 1)",
        job=job,
        detail=f"not published: x\n{text}",
    )
    with pytest.raises(DirectoryError, match="expected a report OOPS-T1 in"):
        show_reports(str(instance.path), "OOPS-T1", as_json=False)


@pytest.mark.feature("LP-25")
def test_a_report_is_not_written_through_a_symbolic_link(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("raise", "value"))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    uuid = str(instance.row(job).uuid)[:8]
    for days in (0, 1):
        day = instance.state / "oops" / (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")
        day.mkdir(mode=0o700, parents=True)
        day.joinpath(f"OOPS-T{job}-1-{uuid}").symlink_to(victim)
    instance.state.joinpath("oops").chmod(0o700)
    instance.run("act")
    assert victim.read_text() == "precious"
    assert instance.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-25")
def test_a_report_that_a_filter_drops_is_nowhere_and_the_job_has_failed(instance: Instance) -> None:
    job = instance.act(("raise", "value"))
    (instance.path / "filterapp.py").write_text(
        textwrap.dedent("""
        from contextlib import nullcontext
        import fooapp
        from jobcron import globalErrorUtility

        def register():
            fooapp.register()
            if not globalErrorUtility.config.filters:
                globalErrorUtility.config.filters.append(lambda report: report["type"] == "ValueError")
        """)
    )
    instance.configure()
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("application: fooapp:", "application: filterapp:")
    path.write_text(re.sub("^(python_path: .*)$", rf"\1 {instance.path}", text, flags=re.M))
    instance.command("run", "act")
    row = instance.row(job)
    assert (row.status, row.oops_id) == (JobStatus.FAILED, None)
    assert instance.oopses() == []


# Errors outside any job.

CRASHING = """
from contextlib import contextmanager
from jobcron import BaseRunnableJob, Job, JobType

class CrashType(JobType):
    CONTEXT = 1
    READY = 2
    ENTERED = 3

class Base(BaseRunnableJob[Job]):
    def run(self):
        pass

class Context(Base):
    class_job_type = CrashType.CONTEXT
    @staticmethod
    def contextManager():
        raise ValueError("password=c4nary-s3cret no context today")

class Entered(Base):
    class_job_type = CrashType.ENTERED
    @staticmethod
    @contextmanager
    def contextManager():
        raise ValueError("password=c4nary-s3cret no context today")
        yield

class Ready(Base):
    class_job_type = CrashType.READY
    @classmethod
    def iterReady(cls, *, session=None):
        raise ValueError("password=c4nary-s3cret no context today")
"""


@pytest.mark.feature("LP-26")
@pytest.mark.parametrize("name", ["Context", "Entered", "Ready"])
def test_a_crash_outside_any_job_leaves_a_report_and_status_1(instance: Instance, name: str) -> None:
    (instance.path / "crashapp.py").write_text(CRASHING)
    instance.configure(sections=f"[crash]\nsource_interface: crashapp.{name}\n")
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("application: fooapp:register", "application: crashapp")
    path.write_text(re.sub("^(python_path: .*)$", rf"\1 {instance.path}", text, flags=re.M))
    with instance.session() as session:
        job = FailJob.create(session=session, metadata={"kind": "value"}).job.id
    out, err = instance.command("run", "crash", expect=1)
    assert out == ""
    (file,) = instance.oopses()
    report = json.loads(file.read_text())
    assert (report["type"], report["id"]) == ("ValueError", file.name)
    assert report["value"] == "password=*** no context today"
    assert report["tb_text"][-1] == "ValueError: password=*** no context today"
    assert report["reporter"] == "T-crash"
    assert report["hostname"] == socket.gethostname()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name in err
    assert "no context today" in err
    assert CANARY not in everything_written(instance, err)
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-26")
def test_a_message_of_the_surroundings_is_in_the_report(instance: Instance) -> None:
    instance.act(("raise", "value"))
    with globalErrorUtility.oopsMessage({"batch": "nightly", "password": CANARY}):
        instance.run("act")
    variables = report_of(instance)["req_vars"]
    assert (variables["batch"], variables["password"]) == ("nightly", "***")


@pytest.mark.feature("LP-26")
def test_a_hook_that_fails_costs_no_report_and_ends_no_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure = ErrorUtility.configure

    def with_hook(utility: ErrorUtility, *arguments: Any) -> None:
        def fail(report: dict[str, Any], context: dict[str, Any]) -> None:
            raise RuntimeError("the application's hook")

        configure(utility, *arguments)
        utility.config.on_create.append(fail)

    monkeypatch.setattr(ErrorUtility, "configure", with_hook)
    job, after = instance.act(("raise", "value")), instance.act(("write", "effect"))
    instance.run("act")
    report = report_of(instance)
    assert instance.row(job).oops_id == report["id"]
    assert report["reporter"] == "T-act"
    assert report["req_vars"]["on_create"] == "failed: RuntimeError: the application's hook"
    assert [instance.row(number).status for number in (job, after)] == [JobStatus.FAILED, JobStatus.COMPLETED]
