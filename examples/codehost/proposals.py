"""The data of the demonstration: merge proposals between commits of a real repository."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from codehost.git import Commit, GitRepository
from codehost.jobs import GenerateDiffJob
from codehost.model import MergeProposal, Repository

COMMITS_NEEDED = 12
PROPOSALS = 12

MISSING_COMMIT = "deadbeef" * 5
"""The id of a commit that no repository has."""


def propose(session: Session, git: GitRepository, mirrors: Path) -> tuple[Repository, int]:
    """Propose to merge the commits since the last time.

    Args:
        session: where proposals and their jobs are made; the caller commits.
        git: the repository on this machine.
        mirrors: the folder where its mirror will be.

    Returns:
        The repository as the site knows it, and how many proposals are new.
    """
    pairs = _pairs(git.commits(PROPOSALS + 1))
    repository = session.scalar(select(Repository).where(Repository.path == str(git.path)))
    if repository is None:
        repository = Repository(path=str(git.path), name=git.path.name)
        session.add(repository)
        proposals = [_proposal(repository, *pair) for pair in pairs]
        proposals += _awkward(repository, mirrors, *pairs[-1])
    else:
        known = {(p.target_commit, p.source_commit) for p in proposals_of(session, repository)}
        proposals = [_proposal(repository, t, s) for t, s in pairs if (t.id, s.id) not in known]
    session.add_all(proposals)
    session.flush()
    for proposal in proposals:
        GenerateDiffJob.acquire(proposal)
    return repository, len(proposals)


def _pairs(commits: list[Commit]) -> list[tuple[Commit, Commit]]:
    """Return pairs (target, source): each commit is merged into the one before it, oldest first."""
    oldest_first = commits[::-1]
    pairs = list(pairwise(oldest_first))
    if len(pairs) < PROPOSALS:
        # One short: the two latest commits together make another.
        pairs.append((oldest_first[-3], oldest_first[-1]))
    return pairs


def _proposal(repository: Repository, target: Commit, source: Commit) -> MergeProposal:
    return MergeProposal(
        repository=repository,
        title=source.title,
        source_commit=source.id,
        target_commit=target.id,
        author=source.author,
    )


def _awkward(repository: Repository, mirrors: Path, target: Commit, source: Commit) -> list[MergeProposal]:
    """Return a proposal whose diff must fail, and one whose diff succeeds only when its mirror exists."""
    path = mirrors / f"{repository.name}-{uuid4().hex[:8]}.git"
    mirror = Repository(path=str(path), name=f"{repository.name} (mirror)", mirror_of=repository)
    deleted = Commit(MISSING_COMMIT, source.author, "Merge a branch that was deleted")
    late = source._replace(title="Merge on a mirror yet to arrive")
    return [_proposal(repository, target, deleted), _proposal(mirror, target, late)]


def proposals_of(session: Session, repository: Repository) -> list[MergeProposal]:
    """Return the proposals of a repository and its mirrors, in order of creation."""
    proposals = (
        select(MergeProposal)
        .join(MergeProposal.repository)
        .where((Repository.id == repository.id) | (Repository.mirror_of == repository))
        .order_by(MergeProposal.id)
    )
    return list(session.scalars(proposals))


def fetch_mirrors(session: Session, repository: Repository) -> None:
    """Create the mirrors of a repository that have not arrived yet."""
    for proposal in proposals_of(session, repository):
        path = Path(proposal.repository.path)
        if proposal.repository.mirror_of_id is not None and not path.exists():
            path.parent.mkdir(exist_ok=True)
            GitRepository(Path(repository.path)).copy(proposal.source_commit, path)
