"""The site's jobs: two family tables around jobcron's row, and a small class for each type."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship
from zope.interface import provider

from codehost.git import GitRepository
from codehost.interfaces import ICalculateHeatJobSource, IGenerateDiffJobSource
from codehost.model import Base, MergeProposal, PreviewDiff, Repository
from codehost.review import request_review
from jobcron import BaseRunnableJob, FamilyRow, JobType, job_type_column


class RepositoryNotReady(Exception):
    """The site knows the repository, but it has not arrived on this machine yet."""


class MergeProposalJobType(JobType):
    """The types of jobs about a merge proposal."""

    GENERATE_DIFF = 1, "Generate the preview diff"


class MergeProposalJob(FamilyRow, Base):
    """A job about a merge proposal."""

    __tablename__ = "merge_proposal_job"

    job_type: Mapped[MergeProposalJobType] = job_type_column(MergeProposalJobType)
    merge_proposal_id: Mapped[int] = mapped_column(ForeignKey("merge_proposal.id"))
    merge_proposal: Mapped[MergeProposal] = relationship()


class MergeProposalJobDerived(BaseRunnableJob[MergeProposalJob]):
    """The base class of jobs about merge proposals."""

    def getOopsVars(self) -> list[tuple[str, object]]:
        """See `IRunnableJob`."""
        proposal = self.context.merge_proposal
        variables = super().getOopsVars()
        variables.extend(
            [
                ("merge_proposal_job_type", self.context.job_type.title),
                ("merge_proposal_id", proposal.id),
                ("source_commit", proposal.source_commit),
                ("target_commit", proposal.target_commit),
                ("repository", proposal.repository.path),
            ]
        )
        return variables

    def getErrorRecipients(self) -> list[str]:
        """See `IRunnableJob`."""
        return self.context.merge_proposal.repository.reviewers


@provider(IGenerateDiffJobSource)
class GenerateDiffJob(MergeProposalJobDerived):
    """Generate the preview diff of a merge proposal."""

    class_job_type = MergeProposalJobType.GENERATE_DIFF
    retry_error_types = (RepositoryNotReady,)
    retry_delay = timedelta(seconds=2)
    max_retries = 5

    def run(self) -> None:
        """See `IRunnableJob`."""
        proposal = self.context.merge_proposal
        # Run git first: a job's transaction begins with its first statement, and until then nobody waits for it.
        diff = self._repository().diff(proposal.target_commit, proposal.source_commit)
        proposal.preview_diff = PreviewDiff(**diff._asdict())
        # The follow-up jobs are committed together with the diff, or not at all.
        request_review(self.session, proposal)
        CalculateHeatJob.acquire(proposal.repository)

    def _repository(self) -> GitRepository:
        path = Path(self.context.merge_proposal.repository.path)
        if not path.exists():
            raise RepositoryNotReady(f"{path} is not there yet")
        return GitRepository(path)

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return f"generating the preview diff of “{self.context.merge_proposal.title}”"


class RepositoryJobType(JobType):
    """The types of jobs about a repository."""

    CALCULATE_HEAT = 1, "Calculate the heat"


class RepositoryJob(FamilyRow, Base):
    """A job about a repository."""

    __tablename__ = "repository_job"

    job_type: Mapped[RepositoryJobType] = job_type_column(RepositoryJobType)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    repository: Mapped[Repository] = relationship()


@provider(ICalculateHeatJobSource)
class CalculateHeatJob(BaseRunnableJob[RepositoryJob]):
    """Calculate the heat of a repository."""

    class_job_type = RepositoryJobType.CALCULATE_HEAT

    def run(self) -> None:
        """See `IRunnableJob`."""
        repository = self.context.repository
        diffs = self.session.scalars(
            select(PreviewDiff)
            .join(PreviewDiff.merge_proposal)
            .where(MergeProposal.repository == repository)
            .options(joinedload(PreviewDiff.merge_proposal))
        )
        repository.heat = round(sum(diff.heat(date.today()) for diff in diffs))

    def getOopsVars(self) -> list[tuple[str, object]]:
        """See `IRunnableJob`."""
        return [*super().getOopsVars(), ("repository", self.context.repository.path)]

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return f"calculating the heat of {self.context.repository.name}"
