"""The base class of job types: a small class inherits it to be a runnable job (LP-04)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy.orm import Session, object_session
from zope.interface import implementer, provider

from jobcron.errors import IncompleteJobType, NoSession
from jobcron.interfaces import DEFAULT_LEASE_SECONDS, IJob, IJobSource, IRunnableJob, JobStatus, RunningAttempt
from jobcron.jobs._creating.offered import OfferedJob
from jobcron.jobs._job_class import Awaited, Delegated, delegated
from jobcron.jobs._job_class import awaiting as awaiting
from jobcron.jobs._methods import check_class, public_methods
from jobcron.jobs._target import Target, check_names, check_target
from jobcron.jobs.arguments.declared import install_fields
from jobcron.jobs.arguments.document import lent
from jobcron.jobs.draft import JOB_VALUES, NOT_ARGUMENTS
from jobcron.jobs.family import FamilyRow, target_name, title_of
from jobcron.jobs.graphs.member import GraphMember
from jobcron.jobs.job import Job
from jobcron.jobs.source import BaseRunnableJobSource, Row
from jobcron.settings.durations import Duration
from jobcron.settings.finished import finished


@implementer(IRunnableJob, IJob)
@provider(IJobSource)
class BaseRunnableJob(GraphMember, OfferedJob, BaseRunnableJobSource[Row]):
    """A job type: subclass it, name the family as parameter, set ``class_job_type``, write ``run``.

    Without a family the job has only the shared row: declare the values that it needs as arguments (see
    `jobcron.jobs.arguments.declared`), and the object that it is about as ``target``.

    ``job.context`` is the family row, ``job.job`` the shared row. Two objects with the same class and row are
    equal, but not identical: a method patched on one is not patched on the other.
    """

    user_error_types: ClassVar[tuple[type[BaseException], ...]] = ()
    """User errors: the job is FAILED without a report, and the message is mailed (LP-20)."""

    retry_error_types: ClassVar[tuple[type[BaseException], ...]] = ()
    """Errors after which the job is retried, besides `RetryableJobError` (LP-21)."""

    lease_duration: ClassVar[Duration] = timedelta(seconds=DEFAULT_LEASE_SECONDS)
    """How long the lease of a claim lasts; the keeper renews it while the job runs."""

    retry_delay: ClassVar[Duration] = timedelta(minutes=10)
    """How long a job waits before it is retried, at least one second. Durations are timedeltas or seconds."""

    retry_backoff: ClassVar[float] = 1.0
    """The back-off: the factor by which the delay grows with each attempt; 2.0 doubles it."""

    retry_delay_limit: ClassVar[Duration] = timedelta(days=1)
    """The longest delay before a retry, however far the back-off has grown."""

    retry_jitter: ClassVar[float] = 0.0
    """The jitter: the largest part of the delay that is added at random; 0.2 adds up to a fifth. It spreads the
    retries of jobs that failed together, as when a service was down."""

    database_only: ClassVar[bool] = False
    """Whether jobs have no side effects outside their database. A failure then undoes all that an attempt did, and
    reports and histories say so. Otherwise they name the job's `uuid`, an idempotency key for side effects."""

    group_commit: ClassVar[bool] = False
    """Whether jobs may share a transaction with others of their type: short ones that are `database_only`."""

    time_limit: ClassVar[Duration | None] = None
    """How long a job may run; None: no limit."""

    id: int = delegated()
    uuid: UUID = delegated()
    status: JobStatus = delegated()
    priority: int = delegated()
    date_created: datetime = delegated()
    scheduled_start: datetime = delegated()
    expires_at: datetime | None = delegated()
    date_started: datetime | None = delegated()
    date_finished: datetime | None = delegated()
    lease_expires: datetime | None = delegated()
    attempt_count: int = delegated()
    crash_count: int = delegated()
    max_retries: int | None = delegated()
    requester: str | None = delegated()
    description: str | None = delegated()
    log: str | None = delegated()
    oops_id: str | None = delegated()
    is_pending: bool = delegated()
    is_runnable: bool = delegated()

    context: Row = cast("Row", Awaited())

    target: Any = cast("Any", Target())
    """What the job is about: the object of the family's relationship, or the one that the shared row names."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Refuse a job type that cannot be run.

        Raises:
            IncompleteJobType: it has no ``run``, or a method that would do nothing when it is called.
        """
        if cls.class_job_type is not None and cls.run is BaseRunnableJob.run:
            raise IncompleteJobType(
                f"expected {cls.__module__}.{cls.__qualname__}, whose job type is {cls.class_job_type}, to have a "
                "method run, it has none"
            )
        check_class(cls)
        super().__init_subclass__(**kwargs)

    def __init__(self, context: Row) -> None:
        install_fields(type(self))  # a process that only runs jobs never reads the declarations of their class
        self.context = context
        self.attempt: RunningAttempt | None = None
        self.loaded: list[object] = []

    @property
    def job(self) -> Job:
        """The shared row."""
        return self.context if isinstance(self.context, Job) else self.context.job

    @job.setter
    def job(self, value: Job) -> None:
        raise AttributeError("a job's shared row cannot be replaced")

    @property
    def metadata(self) -> dict[str, Any]:
        """The job's JSON data; change it at any depth, and the transaction saves the changes."""
        return lent(self.job.json_data)  # to somebody who need not hold the job

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self.job.json_data = value

    @property
    def session(self) -> Session:
        """The session of the job's objects; while the job runs, it holds the job's own transaction.

        Raises:
            NoSession: the objects are in no session.
        """
        session = object_session(self.context)
        if session is None:
            raise NoSession(f"expected {self!r} to be in a session, found it in none")
        return session

    @property
    def progress(self) -> int | None:
        """Per cent done. While the job runs, the keeper writes the value, not the job."""
        return self.attempt.progress if self.attempt else self.job.progress

    @progress.setter
    def progress(self, value: int | None) -> None:
        if value is not None and not (isinstance(value, int) and 0 <= value <= 100):
            raise ValueError(f"expected progress to be a whole number from 0 to 100, or None, got {value!r}")
        if self.attempt:
            self.attempt.note_progress(
                None if value is None else int(value)
            )  # of a subclass, a driver may not know
        else:
            self.job.progress = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.job.id == other.job.id

    def __hash__(self) -> int:
        return hash((type(self), self.job.id))

    def __repr__(self) -> str:
        about = ""
        if isinstance(self.context, FamilyRow):
            # any object: the family's row
            about = f" for {getattr(self.context, target_name(type(self.context)), None)!r}"
        elif self.job.target_type is not None:
            about = f" for {self.job.target_type} {self.job.target_id}"
        return f"<{title_of(self.class_job_type)} job {self.job.id}{about}>"

    @classmethod
    def commits_in_groups(cls) -> bool:
        """Return whether any of these jobs may share a transaction with others."""
        return cls.group_commit

    def check_code(self) -> None:
        """Check the code that the row needs, the target, and the objects that the arguments name."""
        super().check_code()
        check_names(self)
        check_target(self)

    def run(self) -> object:
        """Do the work. See `IRunnableJob`."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def checkpoint(self) -> None:
        """Commit the work so far and renew the lease; after a crash, ``run`` still starts from the beginning.

        Outside a runner the work is only flushed.

        Raises:
            LeaseLost: this run no longer holds the job; nothing was committed.
        """
        if self.attempt:
            self.attempt.checkpoint()
        else:
            self.session.flush()

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Return variables of the job for an OOPS report; subclasses extend ``super().getOopsVars()`` (LP-11)."""
        shown: list[tuple[str, object]] = [
            ("job_id", self.job.id),
            ("job_type", self.type_name),
            ("job_uuid", str(self.job.uuid)),
            ("attempt_count", self.job.attempt_count),
        ]
        if self.job.target_type is not None:
            shown.append(("target", f"{self.job.target_type} {self.job.target_id}"))
        return shown

    def getOperationDescription(self) -> str:
        """Return a description of the job that can follow "error while"."""
        return "unspecified operation"

    def getOopsRecipients(self) -> list[str]:
        """Return the addresses to notify of an OOPS: by default those of `getErrorRecipients`."""
        return self.getErrorRecipients()

    def getErrorRecipients(self) -> list[str]:
        """Return the addresses to notify of a user error: by default none."""
        return []

    def notifyOops(self, oops: dict[str, object]) -> None:
        """Mail the recipients of `getOopsRecipients`, or else those of the configuration, that the job failed."""
        from jobcron.reports.mail import oops_mail, send, send_failure

        recipients = finished(self.getOopsRecipients(), "getOopsRecipients", is_iterated=True)
        if recipients:
            send(recipients, oops_mail(self.getOperationDescription(), oops))
        else:
            send_failure(self.getOperationDescription(), oops)

    def notifyUserError(self, e: BaseException) -> None:
        """Mail the recipients of `getErrorRecipients` about a user error."""
        from jobcron.reports.mail import send, user_error_mail

        recipients = finished(self.getErrorRecipients(), "getErrorRecipients", is_iterated=True)
        send(recipients, user_error_mail(self.getOperationDescription(), e))

    def acquireLease(self, duration: Duration | None = None) -> None:
        """Take the lease, for the type's ``lease_duration`` by default. See `IJob`."""
        self.job.acquireLease(self.lease_duration if duration is None else duration)

    def getTimeout(self) -> int:
        """See `IJob`."""
        return self.job.getTimeout()

    def start(self, manage_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.start(manage_transaction)

    def complete(self, manage_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.complete(manage_transaction)

    def fail(self, manage_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.fail(manage_transaction)

    def queue(self, manage_transaction: bool = False, abort_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.queue(manage_transaction, abort_transaction)

    def suspend(self, manage_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.suspend(manage_transaction)

    def resume(self) -> None:
        """See `IJob`."""
        self.job.resume()

    def cancel(self, manage_transaction: bool = False) -> None:
        """See `IJob`."""
        self.job.cancel(manage_transaction)


BaseRunnableJob.reserved_names = frozenset(dir(BaseRunnableJob)) | NOT_ARGUMENTS
BaseRunnableJob.delegated_names = (
    frozenset(
        name
        for name, found in vars(BaseRunnableJob).items()
        if isinstance(found, Delegated) and name not in (*JOB_VALUES, "priority", "max_retries")
    )
    | public_methods(BaseRunnableJob)
    | (NOT_ARGUMENTS - {"context"})
)
