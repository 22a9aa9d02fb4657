"""Every contract of jobcron: start here to see what the parts are and what each one promises.

A **job** (`IJob`) is a row that holds the state of a piece of work. A **runnable job** (`IRunnableJob`)
is the small class that does the work. A **job source** (`IJobSource`) creates jobs and finds those that are
ready. A **runner** (`IJobRunner`) claims ready jobs, runs them and records the outcome.

Names and meanings are those of Launchpad's Job System (features LP-02 to LP-05).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Protocol

from zope.interface import Attribute, Interface
from zope.schema import Bool, Choice, Datetime, Int, Text, TextLine
from zope.schema.vocabulary import SimpleVocabulary


class JobStatus(IntEnum):
    """The status of a job. Values 0 to 4 are Launchpad's (LP-02)."""

    title: str
    description: str

    def __new__(cls, value: int, title: str, description: str) -> JobStatus:
        """Create a status.

        Args:
            value: the number stored in the row.
            title: what people read.
            description: what it means.
        """
        status = int.__new__(cls, value)
        status._value_ = value
        status.title = title
        status.description = description
        return status

    def __bool__(self) -> bool:
        """Return True, even for WAITING, whose number is 0: code that tests a status asks whether there is one."""
        return True

    WAITING = 0, "Waiting", "The job is waiting to be run."
    RUNNING = 1, "Running", "A runner holds the job's lease and runs it."
    COMPLETED = 2, "Completed", "The job ran, and its work is committed."
    FAILED = 3, "Failed", "The job ran and failed; it is not run again automatically."
    SUSPENDED = 4, "Suspended", "The job is put aside until somebody resumes it."
    CANCELLED = 5, "Cancelled", "The job is no longer needed: somebody cancelled it, or a newer one replaced it."
    EXPIRED = 6, "Expired", "The job was not started before its expiry."
    BLOCKED = 7, "Blocked", "The job waits for other jobs."


DEFAULT_LEASE_SECONDS = 300.0
"""How long a lease lasts by default, in seconds."""

DEFAULT_CRASH_LIMIT = 3
"""How often the process of a job may die before the job fails."""

MAX_LEASE_SECONDS = 7 * 86400.0
"""The longest lease. One that ends later than this was written by a wrong clock, or by hand."""

STATUS_VOCABULARY = SimpleVocabulary([SimpleVocabulary.createTerm(s, s.name, s.title) for s in JobStatus])


class IJob(Interface):
    """The shared row: what all jobs have in common (LP-01, LP-03)."""

    id = Int(title="The job's number.", required=True, readonly=True)
    uuid = Attribute("The job's UUID, the same for every attempt: an idempotency key for side effects.")
    status = Choice(title="The job's status.", vocabulary=STATUS_VOCABULARY, readonly=True)
    priority = Int(title="Lowest first; may be negative; 10 by default.")
    date_created = Datetime(title="When the job was created.", readonly=True)
    scheduled_start = Datetime(title="Not before this time.")
    expires_at = Datetime(title="Not started after this time.", required=False)
    date_started = Datetime(title="When the last attempt began.", required=False, readonly=True)
    date_finished = Datetime(title="When the job reached its end.", required=False, readonly=True)
    lease_expires = Datetime(title="When the lease ends.", required=False, readonly=True)
    attempt_count = Int(title="Attempts begun, the present one included.", readonly=True)
    crash_count = Int(title="Attempts whose process died.", readonly=True)
    max_retries = Int(title="Retries allowed; None: for ever.", required=False)
    requester = TextLine(title="Who asked for the job.", required=False)
    description = TextLine(title="What the job is about, for people.", required=False)
    progress = Int(title="Per cent done, as the job reports it.", required=False)
    log = Text(title="The last error.", required=False, readonly=True)
    oops_id = TextLine(title="The last error's OOPS report.", required=False, readonly=True)
    is_pending = Bool(title="Not at its end yet: waiting, running, suspended or blocked.")
    is_runnable = Bool(title="Waiting, due, not expired and not leased.")

    def acquireLease(duration: float = DEFAULT_LEASE_SECONDS) -> None:
        """Take the lease for `duration` seconds; raise `LeaseHeld` if somebody else holds it."""

    def getTimeout() -> int:
        """Return the seconds left of the lease, as a whole number, at least 0."""

    def start(manage_transaction: bool = False) -> None:
        """Move to RUNNING by hand; this begins an attempt."""

    def complete(manage_transaction: bool = False) -> None:
        """Move to COMPLETED by hand."""

    def fail(manage_transaction: bool = False) -> None:
        """Move to FAILED by hand; only running jobs can fail."""

    def queue(manage_transaction: bool = False, abort_transaction: bool = False) -> None:
        """Move back to WAITING by hand, with the counts of attempts and crashes at 0 and without an expiry."""

    def suspend(manage_transaction: bool = False) -> None:
        """Move to SUSPENDED by hand."""

    def resume() -> None:
        """Move from SUSPENDED back to WAITING, with the counts of attempts and crashes at 0."""

    def cancel(manage_transaction: bool = False) -> None:
        """Move to CANCELLED; a runner that runs the job can no longer commit its work."""


class IRunnableJob(Interface):
    """A job that can be run (LP-04)."""

    job = Attribute("The shared row, an `IJob`.")
    user_error_types = Attribute("Exceptions that are reported to the user, not to the operator.")
    retry_error_types = Attribute("Exceptions after which the job is retried.")

    def run() -> object:
        """Do the work. The runner ignores the return value; an exception decides the outcome."""

    def getOopsVars() -> list[tuple[str, object]]:
        """Return (name, value) pairs for an OOPS report of this job (LP-11)."""

    def getOperationDescription() -> str:
        """Return a description of the job that can follow "error while"."""

    def getOopsRecipients() -> list[str]:
        """Return the addresses that are notified of an OOPS."""

    def getErrorRecipients() -> list[str]:
        """Return the addresses that are notified of a user error."""

    def notifyOops(oops: dict[str, object]) -> None:
        """Notify the recipients of an OOPS."""

    def notifyUserError(e: BaseException) -> None:
        """Notify the recipients of a user error."""


class IJobSource(Interface):
    """A source that finds the ready jobs of one kind (LP-05).

    By convention a source also has ``create()``, ``acquire()`` and ``get()``, with arguments that suit its
    jobs.
    """

    memory_limit = Attribute("Bytes that a job may use in an isolated runner, or None.")

    def iterReady() -> object:
        """Iterate over the jobs that are waiting, due and not leased, the most urgent first."""

    def contextManager() -> object:
        """Return a context manager that is entered around a run."""


class IJobRunner(Interface):
    """A runner of the ready jobs of a source."""

    completed = Attribute("How many jobs completed, by class name.")
    incomplete = Attribute("How many jobs did not complete, by class name.")
    oops_ids = Attribute("The OOPS reports that this run made.")

    def runAll() -> None:
        """Run ready jobs until none is left."""


class IDispatcher(Interface):
    """Carries the numbers of a section's new jobs to processes that run them (LP-32): see `jobcron.dispatch`.

    It may lose a number, deliver it twice, or deliver it late. Whoever receives a number claims the job's row like
    any runner, and cron runs the jobs whose numbers nobody has received.
    """

    def offer(job_ids: Sequence[int]) -> None:
        """Hand over the numbers of committed jobs; raise any exception if that fails.

        This must be quick: whoever has committed the jobs waits for it.
        """

    def status() -> str:
        """Describe the dispatcher in one line, for people: who receives numbers, and how many numbers wait."""

    def withdraw(job_ids: Sequence[int]) -> None:
        """Take back, if possible, the numbers of jobs that have ended before their numbers were received.

        Runs call it from time to time. A number that is received all the same is harmless; exceptions are logged.
        """


class RunningAttempt(Protocol):
    """The current attempt, as a runnable job sees it: the job's ``attempt``, which is None outside a run."""

    @property
    def progress(self) -> int | None:
        """Per cent done, as the job reports it."""

    @property
    def interrupted(self) -> BaseException | None:
        """What stopped the job, or None."""

    @property
    def token(self) -> int:
        """The fencing token: each claim of a job has a greater one."""

    @property
    def must_stop(self) -> Callable[[], bool]:
        """A function that returns whether the run was asked to stop; a job that can stop then should."""

    @property
    def has_moved(self) -> bool:
        """Whether the job has asked for another status than COMPLETED, such as SUSPENDED, for when it ends."""

    def note_progress(self, percent: int | None) -> None:
        """Note how far the job has got, in per cent; the keeper writes it to the database."""

    def end_task(self) -> None:
        """Commit a task that is done, as `checkpoint` does, and reset the counts of attempts for the next task."""

    def keep_steps(self, steps: Callable[[bool], dict[str, object]]) -> None:
        """Store the progress and the workspace of a job of several tasks with the fence of the next commit.

        Args:
            steps: called when that commit begins; returns the values to store. Its argument says whether the
                commit ends the task or the job.
        """

    def checkpoint(self) -> None:
        """Commit the work so far, if this attempt still holds the job, and renew the lease.

        Raises:
            LeaseLost: this attempt no longer holds the job; nothing was committed.
        """
