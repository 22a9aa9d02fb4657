"""The demonstration: a site, its crontab and a slow mirror, in a few seconds."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from codehost.git import GitError, GitRepository
from codehost.history import import_history
from codehost.jobs import GenerateDiffJob, MergeProposalJob
from codehost.model import Base
from codehost.proposals import COMMITS_NEEDED, fetch_mirrors, propose
from codehost.sample import sample_repository
from codehost.summary import print_summary
from jobcron import Database, Job, JobStatus
from jobcron.settings.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[2]
SECTIONS = ("generate_diff", "functions", "calculate_heat", "import_history")

RETRY_DUE_SECONDS = 30.0


class NotARepository(Exception):
    """The given path is not a git repository."""


class CommandFailed(Exception):
    """A command failed with a status other than 0; it has printed why.

    Attributes:
        status: the status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"a command left with status {status}")
        self.status = status


def run(settings: Settings, path: Path | None) -> None:
    """Propose merges, run the jobs, and print the results.

    Args:
        settings: the instance.
        path: the repository in which to propose; None: this checkout.

    Raises:
        NotARepository: there is none at `path`.
        CommandFailed: a command that was run failed.
    """
    state = _own_folder(settings)
    git = choose_repository(path, state)
    command(".venv/bin/jobcron", "upgrade")
    database = Database(settings.database_url)
    try:
        Base.metadata.create_all(database.engine)
        if settings.security_cfg is not None:
            command(".venv/bin/jobcron", "grant")
        with database.session() as session:
            repository, new = propose(session, git, state / "mirrors")
            if new:
                import_history(session, repository)
            session.commit()
        tick()
        if retry_is_waiting(database):
            with database.session() as session:
                fetch_mirrors(session, repository)
            print(
                "# The copy of the repository that one job lacked has arrived: its retry will succeed.",
                file=sys.stderr,
                flush=True,
            )
            wait_until_due(database)
            tick()
        with database.session() as session:
            print_summary(session, settings, repository, new)
    finally:
        database.close()


def _own_folder(settings: Settings) -> Path:
    """Return the folder for the site's own files; create it if necessary."""
    state = Path(settings.state_dir)
    for folder in (state, state / "codehost"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return state / "codehost"


def choose_repository(path: Path | None, state: Path) -> GitRepository:
    """Return the repository at `path`, or the sample repository if there are too few commits.

    Raises:
        NotARepository: there is none at `path`.
    """
    git = GitRepository(path or CHECKOUT)
    try:
        found = len(git.commits(COMMITS_NEEDED))
    except GitError as error:
        if path is not None:
            raise NotARepository(f"expected {path} to be a git repository: {error}") from error
        found = 0  # a checkout that was downloaded has no history
    if found >= COMMITS_NEEDED:
        return git
    print(
        f"Expected {COMMITS_NEEDED} commits or more in {git.path}, found {found}: "
        "a sample repository, made of jobcron's own files, takes its place.",
        flush=True,
    )
    return sample_repository(state / "sample")


def tick() -> None:
    """Run the scripts as a crontab does: each section in its own process."""
    for section in SECTIONS:
        command("cronscripts/run_jobs.py", section)


def command(program: str, *arguments: str) -> None:
    """Run a program of the checkout, with all of its output on standard error.

    Raises:
        CommandFailed: it left with a status other than 0.
    """
    print("$", program, *arguments, file=sys.stderr, flush=True)
    status = subprocess.run([CHECKOUT / program, *arguments], stdout=sys.stderr).returncode
    if status:
        raise CommandFailed(status)


def retry_is_waiting(database: Database) -> bool:
    """Return whether a diff still waits for a retry after the scripts have run."""
    waiting = (
        select(MergeProposalJob)
        .join(MergeProposalJob.job)
        .where(MergeProposalJob.job_type == GenerateDiffJob.class_job_type, Job.status == JobStatus.WAITING)
    )
    with database.session() as session:
        return session.scalars(waiting).first() is not None


def wait_until_due(database: Database) -> None:
    """Wait until the retry of a diff is due."""
    end = time.monotonic() + RETRY_DUE_SECONDS
    while time.monotonic() < end:
        with database.session() as session:
            if any(GenerateDiffJob.iterReady(session=session)):
                return
        time.sleep(0.1)
