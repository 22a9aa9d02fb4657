"""The site's own tables, which know nothing of jobs."""

from __future__ import annotations

from datetime import date
from math import log2

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

HEAT_HALVES_DAYS = 30


class Base(DeclarativeBase):
    """The site's metadata. jobcron's tables are not in it; they live beside it in the same database."""


class Repository(Base):
    """A git repository.

    Attributes:
        path: where it is on this machine, or will be.
        heat: how much is going on in it.
        mirror_of: the repository of which this one is a copy.
    """

    __tablename__ = "repository"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    heat: Mapped[int] = mapped_column(default=0)
    mirror_of_id: Mapped[int | None] = mapped_column(ForeignKey("repository.id"))

    mirror_of: Mapped[Repository | None] = relationship(remote_side=[id])

    @property
    def reviewers(self) -> list[str]:
        """The addresses of the reviewers, in a reserved domain, so that no real person is ever mailed."""
        return ["reviewers@codehost.example.com"]


class MergeProposal(Base):
    """A proposal to merge one commit into another.

    Attributes:
        source_commit: what shall be merged.
        target_commit: what it shall be merged into.
        author: who proposes it, by name.
    """

    __tablename__ = "merge_proposal"
    __table_args__ = (UniqueConstraint("repository_id", "source_commit", "target_commit"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    title: Mapped[str]
    source_commit: Mapped[str]
    target_commit: Mapped[str]
    author: Mapped[str]
    date_created: Mapped[date] = mapped_column(default=date.today)

    # Joined: when a job starts, its proposal is loaded, and the repository with it, without another query.
    repository: Mapped[Repository] = relationship(lazy="joined", innerjoin=True)
    preview_diff: Mapped[PreviewDiff | None] = relationship(
        back_populates="merge_proposal", cascade="all, delete-orphan"
    )


class PreviewDiff(Base):
    """What a merge would change. Each proposal has one; a new one replaces the old one."""

    __tablename__ = "preview_diff"

    merge_proposal_id: Mapped[int] = mapped_column(ForeignKey("merge_proposal.id"), primary_key=True)
    # Deferred: it may be large, and code that needs only the numbers does not need it.
    text: Mapped[str] = mapped_column(deferred=True)
    files_changed: Mapped[int]
    insertions: Mapped[int]
    deletions: Mapped[int]

    merge_proposal: Mapped[MergeProposal] = relationship(back_populates="preview_diff")

    @property
    def statistics(self) -> str:
        """The size of the change, in words."""
        return f"files changed: {self.files_changed}, insertions: {self.insertions}, deletions: {self.deletions}"

    def heat(self, today: date) -> float:
        """Return what this diff adds to its repository's heat: more if it is larger, and more if it is newer."""
        age_days = (today - self.merge_proposal.date_created).days
        return log2(1 + self.insertions + self.deletions) / 2 ** (age_days / HEAT_HALVES_DAYS)
