"""What a job says of itself, and to whom."""

from __future__ import annotations

from typing import ClassVar

import pytest

import guestapp
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, JobStatus, JobType
from jobcron.jobs.job import Job


class Refused(Exception):
    """The user's fault."""


class RefusedTwice(Refused):
    """A kind of it."""


class RunnableJobType(JobType):
    """Types of jobs for these tests."""

    QUIET = 1
    LOUD = 2


class QuietJob(BaseRunnableJob[Job]):
    """Says nothing of itself."""

    class_job_type = RunnableJobType.QUIET
    user_error_types = (Refused,)

    ERRORS: ClassVar[dict[str, type[Exception]]] = {"refused": RefusedTwice, "broken": ZeroDivisionError}

    def run(self) -> None:
        """Raise what the data says."""
        raise self.ERRORS[self.metadata["raise"]](f"this is {self.metadata['raise']}")


class LoudJob(QuietJob):
    """Tells two kinds of people."""

    class_job_type = RunnableJobType.LOUD

    def getOperationDescription(self) -> str:
        """Name the operation."""
        return "shouting"

    def getErrorRecipients(self) -> list[str]:
        """Name the user."""
        return ["user@example.com"]

    def getOopsRecipients(self) -> list[str]:
        """Name the user and the operator."""
        return [*super().getOopsRecipients(), "operator@example.com"]


def run(instance: Instance, job_class: type[QuietJob], kind: str) -> Job:
    """Run a job, and return its row."""
    name = f"{__name__}.{job_class.__name__}"
    instance.configure(sections=f"[runnable]\nsource_interface: {name}\n")
    with instance.session() as session:
        number = job_class.create(session=session, metadata={"raise": kind}).id
    instance.run("runnable")
    return instance.row(number)


def mails(instance: Instance) -> list[str]:
    """Return all mail."""
    return [path.read_text() for path in (instance.path / "mail").glob("*.eml")]


@pytest.mark.feature("LP-04", "LP-20")
def test_a_kind_of_user_error_is_one_and_its_message_goes_to_the_user_alone(instance: Instance) -> None:
    row = run(instance, LoudJob, "refused")
    assert (row.status, row.oops_id, instance.oopses()) == (JobStatus.FAILED, None, [])
    assert "this is refused" in str(row.log)
    (mail,) = mails(instance)
    assert "To: user@example.com\n" in mail
    assert "Subject: Error while shouting\n" in mail
    assert "this is refused" in mail


@pytest.mark.feature("LP-04", "LP-19")
def test_a_report_goes_to_its_own_recipients_with_its_id_and_without_the_error(instance: Instance) -> None:
    row = run(instance, LoudJob, "broken")
    (report,) = instance.oopses()
    assert (row.status, row.oops_id) == (JobStatus.FAILED, report.name)
    (mail,) = mails(instance)
    assert "To: user@example.com, operator@example.com\n" in mail
    assert "shouting" in mail
    assert report.name in mail
    assert "this is broken" not in mail


@pytest.mark.feature("LP-04", "LP-20")
@pytest.mark.parametrize("kind", ["refused", "broken"])
def test_a_job_that_names_nobody_tells_nobody(instance: Instance, kind: str) -> None:
    row = run(instance, QuietJob, kind)
    assert row.status is JobStatus.FAILED
    assert mails(instance) == []


@pytest.mark.feature("LP-04")
def test_a_job_that_says_nothing_has_defaults(instance: Instance) -> None:
    with instance.session() as session:
        job = QuietJob.create(session=session)
        assert job.getOperationDescription() == "unspecified operation"
        assert (job.getErrorRecipients(), job.getOopsRecipients()) == ([], [])
        assert (BaseRunnableJob.user_error_types, job.retry_error_types) == ((), ())
        assert ("job_id", job.id) in job.getOopsVars()


def test_a_job_type_without_run_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(
        IncompleteJobType, match=r"Nothing, whose job type is GuestJobType\.LETTER, to have a method run"
    ):

        class Nothing(BaseRunnableJob):
            class_job_type = guestapp.GuestJobType.LETTER
