"""The example application: its jobs, and its demonstration run as ``make run`` runs it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session
from zope.component import getUtility
from zope.interface.verify import verifyObject

from codehost.git import Diff, GitError, GitRepository
from codehost.interfaces import ICalculateHeatJobSource, IGenerateDiffJobSource
from codehost.jobs import CalculateHeatJob, GenerateDiffJob, RepositoryNotReady
from codehost.model import Base, MergeProposal, PreviewDiff, Repository
from codehost.proposals import MISSING_COMMIT
from codehost.review import mail_reviewers, request_review
from codehost.summary import print_summary
from fork_server import ForkServer
from jobcron import Database, IRunnableJob, RetryableJobError, load_settings
from jobcron.functions import FunctionJob
from jobcron.reports.mail import post
from jobcron.testing import outbox
from jobcron.testing.server import PrivatePostgreSQL
from paths import ROOT, TOOLS

CONFIGURATION = """
[jobcron]
database_url: {url}
application: codehost
python_path: {examples}
state_dir: state
oops_prefix: T
mail: file:mail
security_cfg: {examples}/codehost/security.cfg

[generate_diff]
source_interface: codehost.interfaces.IGenerateDiffJobSource
dbuser: codehost_diff

[functions]
source_interface: jobcron.functions.FunctionJob
dbuser: codehost_mail

[calculate_heat]
source_interface: codehost.interfaces.ICalculateHeatJobSource
dbuser: codehost_heat

[import_history]
tasks: codehost.history.scan
    codehost.history.store
    codehost.history.summarise
dbuser: codehost_history
"""


CRON = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""What cron puts into the environment of all."""

TIMEOUT_SECONDS = 100


class Site:
    """An instance of the configuration for the demonstration, with a git repository of its own.

    Args:
        forks: a fork server for the demonstrations; None: they are processes as a reader's.

    Attributes:
        outcome: the demonstration as it was last run.
    """

    def __init__(self, folder: Path, url: str, commits: int, forks: ForkServer | None = None) -> None:
        self.folder = folder
        self.forks = forks
        self.url = url
        self.configuration = folder / "jobcron.conf"
        self.configuration.write_text(CONFIGURATION.format(url=url, examples=ROOT / "examples"))
        self.repository = folder / "project"
        self.git("init", "--quiet", str(self.repository))
        for number in range(commits):
            self.commit(f"Change {number}")
        self.outcome: subprocess.CompletedProcess[str]

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        folder = self.repository if self.repository.exists() else self.folder
        who = ("-c", "user.name=Ada Example", "-c", "user.email=ada@codehost.example.com")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout

    def commit(self, title: str) -> None:
        """Commit a change to the repository: a new file, and one line fewer in another."""
        (self.repository / f"{title}.txt").write_text(f"{title}\n" * 3)
        shared = self.repository / "shared.txt"
        lines = shared.read_text().splitlines() if shared.exists() else ["line"] * 100
        shared.write_text("\n".join(lines[:-1]) + "\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", title)

    def demonstrate(self, *arguments: str, cwd: Path = ROOT / "examples", **variables: str) -> str:
        """Run the demonstration with an environment as empty as cron's, and return its standard output."""
        environment = {**CRON, "HOME": str(self.folder), "JOBCRON_CONFIG": str(self.folder), **variables}
        if self.forks is not None and self.forks.suits(environment):
            given = [self.forks.address, *arguments]
            ended = self.forks.run(TOOLS / "forked_demonstration.py", given, environment, cwd, TIMEOUT_SECONDS)
            self.outcome = subprocess.CompletedProcess(given, *ended)
        else:
            command = [str(ROOT / ".venv/bin/python"), "-m", "codehost", *arguments]
            self.outcome = subprocess.run(
                command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
            )
        assert "Traceback" not in self.outcome.stderr, self.outcome.stderr
        return self.outcome.stdout

    def query(self, statement: str) -> list[Any]:
        """Return the rows of a statement."""
        database = Database(self.url)
        try:
            with database.begin() as connection:
                return [tuple(row) for row in connection.execute(text(statement))]
        finally:
            database.close()

    def jobs(self, family: str, job_type: int) -> list[Any]:
        """Return (status, attempt_count, oops_id, uuid) of the jobs of a type, the oldest first."""
        return self.query(
            f"SELECT status, attempt_count, oops_id, uuid FROM jobcron_job JOIN {family} ON job = id "
            f"WHERE job_type = {job_type} ORDER BY id"
        )

    def contents(self) -> list[Any]:
        """Return all that the demonstration makes, to compare it with what it was."""
        tables = ("repository", "merge_proposal", "preview_diff", "jobcron_job")
        rows = [self.query(f"SELECT * FROM {table} ORDER BY 1") for table in tables]
        return [*rows, sorted(path.name for path in (self.folder / "mail").iterdir())]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'codehost.db'}"
        return
    server: PrivatePostgreSQL = request.getfixturevalue("server")
    server.create_database("codehost")
    yield server.url("codehost")
    server.drop_database("codehost")


@pytest.fixture(scope="module")
def first(url: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site after the first run of the demonstration; tests may look, not touch."""
    site = Site(tmp_path_factory.mktemp("site"), url, commits=15)
    site.demonstrate("--repository", str(site.repository))
    return site


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    """Return a fork server whose environment is as empty as cron's."""
    server = ForkServer(CRON)
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, forks: ForkServer) -> Site:
    """Return a site, on SQLite, on which the demonstration was not run yet."""
    return Site(tmp_path, f"sqlite:///{tmp_path / 'codehost.db'}", commits=13, forks=forks)


@pytest.mark.feature("LP-12", "LP-16")
def test_the_log_is_on_standard_error_and_the_table_on_standard_output(first: Site) -> None:
    assert first.outcome.returncode == 0
    said = re.sub(r"^[\d-]+ [\d:]+ ", "", first.outcome.stderr, flags=re.MULTILINE)
    assert "INFO    Ran 12 GenerateDiffJob jobs.\nINFO    2 GenerateDiffJob jobs did not complete.\n" in said
    assert "INFO    Ran 12 FunctionJob jobs.\n" in said
    assert "INFO    Ran 1 CalculateHeatJob jobs.\n" in said
    assert "INFO    Ran 1 import_history jobs.\n" in said
    assert "due to RepositoryNotReady: " in said
    table = first.outcome.stdout
    assert "INFO" not in table
    assert "Merge proposals in project: 14 new, 0 known." in table
    assert all(f"Change {number} " in table for number in range(3, 15))
    assert "Change 2 " not in table


@pytest.mark.feature("LP-19", "LP-25")
def test_the_proposal_of_a_missing_commit_fails_with_an_oops(first: Site) -> None:
    failed = [job for job in first.jobs("merge_proposal_job", 1) if job[0] == 3]
    ((_, attempts, oops_id, _),) = failed
    assert attempts == 1
    (report,) = (first.folder / "state" / "oops").glob(f"*/{oops_id}")
    assert f"bad object {MISSING_COMMIT}" in report.read_text()
    assert '"merge_proposal_job_type": "Generate the preview diff"' in report.read_text()
    assert str(report) in first.outcome.stdout
    assert re.search(rf"deleted .* Failed +1 +{oops_id}\n", first.outcome.stdout)


@pytest.mark.feature("LP-21")
def test_the_proposal_whose_mirror_is_late_succeeds_at_the_second_attempt(first: Site) -> None:
    jobs = first.jobs("merge_proposal_job", 1)
    assert sorted((status, attempts) for status, attempts, *_ in jobs) == [(2, 1)] * 12 + [(2, 2), (3, 1)]


@pytest.mark.feature("LP-01")
def test_each_diff_is_what_git_says(first: Site) -> None:
    diffs = first.query(
        "SELECT target_commit, source_commit, text, files_changed, insertions, deletions "
        "FROM merge_proposal JOIN preview_diff ON merge_proposal_id = merge_proposal.id"
    )
    assert len(diffs) == 13
    for target, source, shown, *counts in diffs:
        assert shown == first.git("diff", target, source)
        assert counts == [2, 3, 1]


@pytest.mark.feature("OCQ-01")
def test_reviewers_get_one_mail_for_each_diff_by_a_job_that_is_a_function(first: Site) -> None:
    mails = [message_from_bytes(path.read_bytes()) for path in (first.folder / "mail").iterdir()]
    reviews = [mail for mail in mails if mail["Subject"].startswith("[Merge] ")]
    jobs = first.query(
        "SELECT status, attempt_count, unique_key, result FROM jobcron_job JOIN jobcron_type "
        "ON jobcron_job.type = jobcron_type.id WHERE name = 'FunctionJobType.CALL'"
    )
    assert {job[:2] + job[3:] for job in jobs} == {(2, 1, "mailed reviewers@codehost.example.com")}
    assert len(jobs) == 13
    proposals = {re.match(r"<proposal-(\d+)\.", mail["Message-ID"])[1] for mail in reviews}  # type: ignore[index]
    assert {mail_reviewers.unique_key(f"review of proposal {number}") for number in proposals} == {
        key for _, _, key, _ in jobs
    }
    assert all("files changed: 2, insertions: 3, deletions: 1" in mail.get_payload() for mail in reviews)
    assert {mail["To"] for mail in mails} == {"reviewers@codehost.example.com"}
    (failure,) = [mail for mail in mails if mail not in reviews]
    assert failure["Subject"].startswith("A job failed: generating the preview diff of ")


@pytest.mark.feature("LP-09")
def test_all_diffs_of_a_repository_ask_for_its_heat_and_one_job_calculates_it(first: Site) -> None:
    assert [job[:2] for job in first.jobs("repository_job", 1)] == [(2, 1), (2, 1)]
    assert first.query("SELECT name, heat FROM repository ORDER BY id") == [
        ("project", 28),  # 12 diffs of 4 lines on their first day: 12 times log2(5)
        ("project (mirror)", 2),
    ]


@pytest.mark.feature("DBQ-01", "DBQ-02", "DBQ-03")
def test_the_history_is_imported_by_a_job_of_three_tasks(first: Site) -> None:
    assert (
        "The history of project, which a job of three tasks has read: 15 commits by 1 author."
        in first.outcome.stdout
    )
    titles = {title for (title,) in first.query("SELECT title FROM imported_commit")}
    assert titles == {f"Change {number}" for number in range(15)}
    ((data,),) = first.query(
        "SELECT steps FROM jobcron_job JOIN jobcron_type ON jobcron_job.type = jobcron_type.id "
        "WHERE name = 'steps.import_history'"
    )
    data = data if isinstance(data, dict) else json.loads(data)
    assert (len(data["done"]), data["todo"]) == (3, [])
    assert data["workspace"] == {"repository": 1, "path": str(first.repository)}


def test_a_second_run_makes_nothing_and_says_so(site: Site) -> None:
    site.demonstrate("--repository", str(site.repository))
    before = site.contents()
    table = site.demonstrate(
        "--repository", str(site.repository), cwd=site.folder, PYTHONPATH=str(ROOT / "examples")
    )
    assert site.outcome.returncode == 0
    assert "Merge proposals in project: nothing new, 14 known." in table
    assert "So there was nothing to do" in table
    assert re.search(r"deleted .* Failed +1 +OOPS-T", table)
    assert site.contents() == before

    site.commit("Change 13")
    table = site.demonstrate("--repository", str(site.repository))
    assert "Merge proposals in project: 1 new, 14 known." in table
    assert "Ran 1 GenerateDiffJob jobs." in site.outcome.stderr
    assert re.search(r"Change 13 .* 2  3  1  Completed +1  Sent\n", table)


def test_a_sample_repository_takes_the_place_of_one_with_few_commits(tmp_path: Path, forks: ForkServer) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'codehost.db'}", commits=11, forks=forks)
    table = site.demonstrate("--repository", str(site.repository))
    assert site.outcome.returncode == 0
    assert table.startswith(f"Expected 12 commits or more in {site.repository}, found 11: a sample repository")
    assert "Merge proposals in sample: 14 new, 0 known." in table
    assert "Merge proposals in sample: nothing new, 14 known." in site.demonstrate(
        "--repository", str(site.repository)
    )


@pytest.mark.parametrize("name", ["absent", "no-repository", "jobcron.conf"])
def test_what_is_no_repository_is_refused_in_one_message(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'codehost.db'}", commits=0)
    (tmp_path / "no-repository").mkdir()
    assert site.demonstrate("--repository", str(tmp_path / name)) == ""
    assert site.outcome.returncode == 2
    assert f"--repository: expected {tmp_path / name} to be a git repository: " in site.outcome.stderr


def test_what_a_script_says_is_wrong_ends_the_demonstration_with_its_status(site: Site) -> None:
    site.configuration.write_text(site.configuration.read_text().replace("[functions]", "[other]"))
    site.demonstrate("--repository", str(site.repository))
    assert site.outcome.returncode == 2
    assert "expected a section [functions], found none" in site.outcome.stderr


def test_neither_settings_nor_hooks_of_git_have_a_part_in_it(site: Site) -> None:
    (site.folder / ".gitconfig").write_text("[diff]\n\tnoprefix = true\n[log]\n\tshowSignature = true\n")
    site.git("config", "push.gpgSign", "true")
    site.git("config", "diff.external", "false")
    hook = site.repository / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    site.demonstrate("--repository", str(site.repository), GIT_DIR="/nowhere", GIT_INDEX_FILE="/nowhere")
    assert site.outcome.returncode == 0
    assert [job[:2] for job in site.jobs("merge_proposal_job", 1)].count((2, 1)) == 12


@pytest.fixture
def project(session: Session, tmp_path: Path) -> SimpleNamespace:
    """Return a proposal in the test's own session, with its site."""
    Base.metadata.create_all(session.connection())
    site = Site(tmp_path, "sqlite:///unused.db", commits=2)
    source, target = GitRepository(site.repository).commits(2)
    repository = Repository(path=str(site.repository), name="project")
    proposal = MergeProposal(
        repository=repository,
        title=source.title,
        source_commit=source.id,
        target_commit=target.id,
        author=source.author,
    )
    session.add(proposal)
    session.flush()
    return SimpleNamespace(site=site, repository=repository, proposal=proposal)


@pytest.mark.feature("LP-05", "LP-07")
def test_the_job_classes_are_the_sources_that_the_interfaces_promise(project: SimpleNamespace) -> None:
    sources = {
        IGenerateDiffJobSource: GenerateDiffJob,
        ICalculateHeatJobSource: CalculateHeatJob,
    }
    for interface, source in sources.items():
        assert getUtility(interface) is source
        assert verifyObject(interface, source)
    assert verifyObject(IRunnableJob, GenerateDiffJob.acquire(project.proposal))


@pytest.mark.feature("LP-09")
def test_a_proposal_has_one_diff_job_that_waits(project: SimpleNamespace) -> None:
    assert GenerateDiffJob.acquire(project.proposal) == GenerateDiffJob.acquire(project.proposal)
    assert len(list(GenerateDiffJob.iterReady())) == 1


@pytest.mark.feature("LP-11")
def test_a_report_tells_of_the_proposal_and_of_the_job(project: SimpleNamespace) -> None:
    job = GenerateDiffJob.acquire(project.proposal)
    variables = job.getOopsVars()
    assert ("job_id", job.job.id) in variables
    assert ("merge_proposal_id", project.proposal.id) in variables
    assert ("merge_proposal_job_type", job.context.job_type.title) in variables
    assert ("repository", str(project.site.repository)) in CalculateHeatJob.acquire(
        project.repository
    ).getOopsVars()


def test_a_new_diff_takes_the_place_of_the_old_one(session: Session, project: SimpleNamespace) -> None:
    GenerateDiffJob.acquire(project.proposal).run()
    session.commit()
    project.site.commit("Another change")
    project.proposal.source_commit = GitRepository(project.site.repository).commits(1)[0].id
    GenerateDiffJob.acquire(project.proposal).run()
    session.commit()
    (diff,) = session.scalars(select(PreviewDiff))
    assert (diff.files_changed, diff.insertions, diff.deletions) == (3, 6, 2)


def test_a_job_holds_no_transaction_while_git_runs(
    session: Session, project: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = GenerateDiffJob.acquire(project.proposal).job.id
    session.commit()
    session.expunge_all()
    job = GenerateDiffJob.load(session, [number])[number]  # as a runner does
    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    def diff(repository: GitRepository, target: str, source: str) -> Diff:
        assert statements == []
        return Diff("", 0, 0, 0)

    monkeypatch.setattr(GitRepository, "diff", diff)
    job.run()
    session.flush()
    assert statements


@pytest.mark.feature("LP-21")
def test_a_repository_that_is_not_there_yet_is_waited_for(project: SimpleNamespace) -> None:
    project.repository.path += "-elsewhere"
    job = GenerateDiffJob.acquire(project.proposal)
    assert RepositoryNotReady in job.retry_error_types
    with pytest.raises(RepositoryNotReady, match="is not there yet"):
        job.run()


def test_a_second_attempt_sends_the_same_mail(session: Session, project: SimpleNamespace) -> None:
    for _ in range(2):
        mail_reviewers(session, project.proposal.id)  # a plain call
    identity = f"<proposal-{project.proposal.id}.{project.proposal.source_commit[:12]}@codehost.example.com>"
    assert [mail["Message-ID"] for mail in outbox()] == [identity] * 2


@pytest.mark.feature("OCQ-04")
def test_mail_that_the_server_does_not_take_is_sent_later(
    session: Session, project: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(message: object) -> None:
        raise ConnectionRefusedError("no mail server here")

    request_review(session, project.proposal)
    (job,) = FunctionJob.iterReady()
    with monkeypatch.context() as patch:
        patch.setattr(post, "transport", away)
        with pytest.raises(RetryableJobError, match="no mail server here"):
            job.run()
    job.job.attempt_count = 1
    assert (job.retry_delay, job.max_retries) == (timedelta(seconds=10), 6)
    job.run()
    assert [mail["Subject"] for mail in outbox()] == [f"[Merge] {project.proposal.title}"]


def test_the_summary_tells_what_still_waits(
    session: Session, project: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    project.proposal.title = "Move \x1b[2J the cursor"
    GenerateDiffJob.acquire(project.proposal)
    request_review(session, project.proposal)
    print_summary(session, load_settings(str(project.site.folder)), project.repository, 1)
    table = capsys.readouterr().out
    assert "Merge proposals in project: 1 new, 0 known." in table
    assert re.search(r"^Move  \[2J the cursor .* Waiting +0  Waiting$", table, flags=re.MULTILINE)


def test_an_empty_repository_has_no_commits_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    site = Site(tmp_path, "sqlite:///unused.db", commits=0)
    assert GitRepository(site.repository).commits(12) == []
    (site.repository / ".git" / "HEAD").unlink()
    with pytest.raises(GitError, match="not a git repository"):
        GitRepository(site.repository).commits(12)
