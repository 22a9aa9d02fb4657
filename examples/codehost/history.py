"""Import a repository's history, as a job of three tasks: functions that share a workspace.

The configuration lists them in the section ``[import_history]``: that is all it takes to define such jobs.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from codehost.git import GitRepository
from codehost.model import Base, Repository
from jobcron.steps import StepsJob, create

MAX_COMMITS = 200


class ImportedCommit(Base):
    """A commit that the site knows."""

    __tablename__ = "imported_commit"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    commit: Mapped[str] = mapped_column(primary_key=True)
    author: Mapped[str]
    title: Mapped[str]


class History(Base):
    """A summary of a repository's history."""

    __tablename__ = "repository_history"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    commits: Mapped[int]
    authors: Mapped[int]


def import_history(session: Session, repository: Repository) -> None:
    """Create a job that imports the history of a repository; the caller commits."""
    workspace = {"repository": repository.id, "path": repository.path}
    create("import_history", workspace=workspace, session=session)


def scan(job: StepsJob) -> None:
    """Query git: the database is not used, so no transaction is open meanwhile."""
    commits = GitRepository(Path(job.workspace["path"])).commits(MAX_COMMITS)
    job.workspace["commits"] = [list(commit) for commit in commits]


def store(job: StepsJob) -> None:
    """Store the new commits; this commits together with the step, so a crash stores nothing twice."""
    repository = job.workspace["repository"]
    of_repository = select(ImportedCommit.commit).where(ImportedCommit.repository_id == repository)
    known = set(job.session.scalars(of_repository))
    for commit, author, title in job.workspace.pop("commits"):
        if commit not in known:
            job.session.add(ImportedCommit(repository_id=repository, commit=commit, author=author, title=title))


def summarise(job: StepsJob) -> None:
    """Count the stored commits."""
    repository = job.workspace["repository"]
    counts = select(func.count(), func.count(ImportedCommit.author.distinct())).where(
        ImportedCommit.repository_id == repository
    )
    commits, authors = job.session.execute(counts).one()
    job.session.merge(History(repository_id=repository, commits=commits, authors=authors))
