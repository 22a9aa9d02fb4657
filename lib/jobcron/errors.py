"""Every exception that jobcron raises, as one tree.

::

    Exception
    └── JobcronError                   base of the errors below; ``exit_status`` is the script's
        ├── UserMistake                shown as one message, without a traceback
        │   ├── ConfigurationError     a file, section, key or option is wrong           (exit 2)
        │   ├── DirectoryError         a state, lock or OOPS directory cannot be used    (exit 1)
        │   ├── DatabaseUnavailable    absent, refusing, or lost during the work         (exit 1)
        │   │   └── DatabaseUnusable   replaced under the run, or damaged                (exit 1)
        │   ├── SchemaMismatch         tables missing, too old or too new                (exit 1)
        │   ├── NoSuchJob              there is no job with the requested number or UUID (exit 2)
        │   ├── LockHeld               another run of the same section is in progress    (exit 3)
        │   └── ProcessNotStarted      a process for isolated jobs could not start       (exit 1)
        ├── InvalidTransition          a change of status that is not allowed
        ├── LeaseHeld                  somebody else holds the job's lease
        ├── DuplicateJobType           two classes have the same job type
        ├── IncompleteJobType          a job class lacks something that it needs
        ├── UnknownJobType             a row's type has no class in this process
        ├── DefinitionChanged          a job's next task is no longer in its definition
        ├── MissingCode                a row names what this code lacks; the job waits for code that has it
        │   └── MissingClass           its data name a class or enum item that is missing; also an InvalidJobData
        ├── DuplicateJob               another job with the same key has not started yet
        ├── InvalidJobData             a job's data or target cannot be stored
        │   └── InvalidDuration        a duration is negative, infinite, too long or not a number
        ├── InvalidRow                 a job's row has values that no code writes
        ├── NoSession                  no database session was found
        ├── WrongSession               a job's session was used by another thread, or after the job
        ├── ChangedMeanwhile           another session changed a row after the job had read it
        ├── UnknownFunction            a row names a function that no code has registered
        ├── SuspendJobException        raised by a job: suspend me
        ├── FailedJobError             raised by a job: I have failed for good, do not retry me
        ├── NothingToDoJob             raised by a function: there is nothing to do, and that is fine
        └── RetryableJobError          raised by a job: retry me later

    TimeoutError
    └── TimeLimitExceeded              the job ran longer than its type allows

    MemoryError
    └── MemoryLimitExceeded            the job's processes took more memory than its type allows

    RuntimeError
    ├── CrashLimitReached              the job's process died too often; it is not run again
    ├── OutputLimitExceeded            the job printed more than its type allows
    ├── JobCancelled                   the job was cancelled after it had committed part of its work
    ├── SelfDeadlock                   the job waits for a lock that its own transaction holds
    └── ProcessDied                    the isolated process of the job ended while the job ran

    BaseException                      so that ``except Exception`` in a job cannot swallow them
    ├── Interrupted                    the runner must stop; the job goes back to the queue
    ├── LeaseLost                      the job is no longer this runner's; nothing may be committed
    └── LeavesGroup                    the job cannot share its transaction; it runs again by itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class JobcronError(Exception):
    """Base of all of jobcron's own errors.

    ``exit_status`` is the exit status of a script that this error ends.
    """

    exit_status = 1


class UserMistake(JobcronError):
    """An error whose message explains it in full: scripts print it without a traceback."""


class ConfigurationError(UserMistake):
    """The configuration, an option or an environment variable is wrong."""

    exit_status = 2


class DirectoryError(UserMistake):
    """A directory or file that a script needs cannot be used."""


class DatabaseUnavailable(UserMistake):
    """The database is absent, refuses the connection, or went away."""


class DatabaseUnusable(DatabaseUnavailable):
    """The database was replaced during the run, or is damaged: waiting does not help."""


class SchemaMismatch(UserMistake):
    """The database lacks jobcron's tables, or has them in another version.

    Attributes:
        remedy: what to do: a command, or a sentence.
    """

    remedy = "jobcron upgrade"


class NoSuchJob(UserMistake):
    """There is no job with the number or UUID that was asked for."""

    exit_status = 2


class LockHeld(UserMistake):
    """Another process holds the lock of this section."""

    exit_status = 3


class ProcessNotStarted(UserMistake):
    """A process for isolated jobs could not start; the message includes what it printed."""


class InvalidTransition(JobcronError):
    """The job cannot move from its status to the requested one (LP-02).

    Attributes:
        current: the job's status.
        requested: the requested status.
    """

    def __init__(self, current: object, requested: object) -> None:
        super().__init__(
            f"Transition from {getattr(current, 'title', current)} "
            f"to {getattr(requested, 'title', requested)} is invalid."
        )
        self.current = current
        self.requested = requested


class LeaseHeld(JobcronError):
    """Somebody else holds the lease of the job (LP-03)."""

    def __init__(self, message: str = "Lease is already held.") -> None:
        super().__init__(message)


class DuplicateJobType(JobcronError):
    """Two classes have the same job type (LP-06)."""


class IncompleteJobType(JobcronError):
    """A class has a job type, but lacks something that a job needs to run (LP-04)."""


class UnknownJobType(JobcronError):
    """A job's row has a type that no class of this process has."""


class InvalidRow(JobcronError):
    """A job's row has values that jobcron never writes, so somebody changed it by hand; the message names them."""


class DefinitionChanged(JobcronError):
    """The next task of a job is no longer among the tasks of its definition (DBQ-02)."""


class MissingCode(JobcronError):
    """A row names a function, task, argument or class that this code lacks: the job waits for code that has it.

    Attributes:
        name: what is missing, in words.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class DuplicateJob(JobcronError):
    """The job cannot be created, or go back to WAITING: another job with its unique key has not started yet."""


class InvalidJobData(JobcronError):
    """A job's target, data or key cannot be stored."""


class MissingClass(MissingCode, InvalidJobData):
    """A job's data name a class, or an item of an enum, that no imported module has (LP-01)."""


class InvalidDuration(InvalidJobData):
    """A duration is neither a timedelta nor a number of seconds, or is negative, infinite or too long."""


class NoSession(JobcronError):
    """No session was given, and none was found from the target or the context."""


class SuspendJobException(JobcronError):
    """Raised by a job to suspend itself until somebody resumes it (LP-22)."""


class UnknownFunction(JobcronError):
    """A job's row names a function that no code of this process has registered."""


class FailedJobError(JobcronError):
    """Raised by a job that has failed for good: it is not retried (OCQ-04)."""


class NothingToDoJob(JobcronError):
    """Raised by a function that finds nothing to do: its job completes, with the message as result (OCQ-04)."""


class RetryableJobError(JobcronError):
    """Raised by a job that may succeed later; this error is always retried.

    Args:
        msg: what went wrong.
        seconds: the delay before the next attempt, a number of seconds or a timedelta; at least a
            second passes. None: the type's ``retry_delay``.
        ignore_retry: whether the attempt uses up no retry (OCQ-04).
    """

    def __init__(
        self, msg: str = "", seconds: timedelta | float | None = None, ignore_retry: bool = False
    ) -> None:
        super().__init__(msg)
        self.seconds = seconds
        self.ignore_retry = ignore_retry


class TimeLimitExceeded(TimeoutError):
    """The job ran longer than the ``time_limit`` of its type."""


class MemoryLimitExceeded(MemoryError):
    """The processes of an isolated job used more memory than its ``memory_limit`` (LP-24)."""


class OutputLimitExceeded(RuntimeError):
    """An isolated job printed more than the ``output_limit`` of its type."""


class SelfDeadlock(RuntimeError):
    """The job waits for itself: over another connection, it wants a lock that its own transaction holds."""


class JobCancelled(RuntimeError):
    """The job was cancelled after it had committed part of its work: its failure hook gets this error."""


class ProcessDied(RuntimeError):
    """The process of an isolated job was killed, or exited, while the job ran."""


class CrashLimitReached(RuntimeError):
    """The job's process died in ``crash_limit`` attempts; the job is not run again."""


class Interrupted(BaseException):
    """The runner must stop although the job is still running: its work is rolled back, and it returns to WAITING.

    A BaseException, so that a job's ``except Exception`` cannot swallow it.
    """


class LeaseLost(BaseException):
    """The runner no longer holds the job's lease: the job was taken over, cancelled or changed by hand.

    The attempt may commit nothing more. A BaseException, like `Interrupted`.
    """


class LeavesGroup(BaseException):
    """A job that shares a transaction with others did something that needs a transaction of its own.

    The shared transaction is rolled back, and its jobs run again one by one. A BaseException, like `Interrupted`.
    """


class ChangedMeanwhile(JobcronError):
    """Another session changed a row after the job had read it: the job runs again, on fresh rows."""


class WrongSession(JobcronError):
    """A job's session was used by another thread, or after the job had ended."""
