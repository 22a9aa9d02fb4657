"""An application whose requests read before they create jobs, as most do."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobcron import BaseRunnableJob, JobType
from jobcron.functions import job
from jobcron.steps import StepsJob


class Base(DeclarativeBase):
    """The application's own metadata."""


class Thing(Base):
    """What jobs are about."""

    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(default=0)
    touched: Mapped[int] = mapped_column(default=0)


class ThingJobType(JobType):
    """The types of jobs about things."""

    TOUCH = 1


class TouchJob(BaseRunnableJob):
    """Touches a thing."""

    class_job_type = ThingJobType.TOUCH
    target: Thing | None

    def run(self) -> None:
        """Touch it."""
        if self.target is not None:
            self.target.touched += 1


@job
def nothing(number: int) -> None:
    """Do nothing."""


class Counting(StepsJob):
    """A job of two tasks."""

    name = "counting"
    tasks = ["creatorsapp.count", "creatorsapp.count"]


def count(job: StepsJob) -> None:
    """Count."""
    job.workspace["n"] = job.workspace.get("n", 0) + 1
