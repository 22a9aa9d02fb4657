"""Every exception that jobcron raises, as one tree.

::

    Exception
    └── JobcronError                   anything of ours; ``exit_status`` is what a script leaves with
        ├── UserMistake                shown as one message, without a traceback
        │   ├── ConfigurationError     a file, section, key or option is wrong           (exit 2)
        │   ├── DirectoryError         a state, lock or OOPS directory cannot be used    (exit 1)
        │   ├── DatabaseUnavailable    absent, refusing, or gone in the middle           (exit 1)
        │   ├── SchemaMismatch         tables missing, too old or too new                (exit 1)
        │   ├── LockHeld               another run of the same section goes on           (exit 3)
        │   └── ProcessNotStarted      a process for isolated jobs could not begin       (exit 1)
        ├── InvalidTransition          a move of status that a job's life does not have
        ├── LeaseHeld                  somebody else holds the job's lease
        ├── DuplicateJobType           two classes claim one type
        ├── IncompleteJobType          a class of jobs lacks what it needs
        ├── UnknownJobType             a row's type has no class in this process
        ├── DefinitionChanged          a job's next task is none of its definition's
        ├── DuplicateJob               another job with the same key has not started yet
        ├── InvalidJobData             a job's data or target cannot be stored
        ├── NoSession                  no database session to be found
        ├── WrongSession               a job's session was used by another thread, or after the job
        ├── ChangedMeanwhile           somebody else changed a row that the job had read before
        ├── UnknownFunction            a row names a function that no code has registered
        ├── SuspendJobException        raised by a job: put me aside
        ├── FailedJobError             raised by a job: I have failed, do not try me again
        ├── NothingToDoJob             raised by a function: there is nothing to do, and that is well
        └── RetryableJobError          raised by a job: try me again later

    TimeoutError
    └── TimeLimitExceeded              the job ran longer than its type allows

    MemoryError
    └── MemoryLimitExceeded            the job's processes took more memory than its type allows

    RuntimeError
    ├── CrashLimitReached              the job's process died too often; it is not run again
    ├── OutputLimitExceeded            the job printed more than its type allows
    └── ProcessDied                    the isolated process of the job ended in the middle of it

    BaseException                      so that ``except Exception`` in a job cannot swallow them
    ├── Interrupted                    the runner has to stop; the job goes back to the queue
    └── LeaseLost                      the lease went to somebody else; nothing may be committed
"""

from __future__ import annotations


class JobcronError(Exception):
    """Base of all errors of jobcron's own.

    ``exit_status`` is the status with which a script that ends by this error leaves.
    """

    exit_status = 1


class UserMistake(JobcronError):
    """An error that the message explains in full: scripts print it without a traceback."""


class ConfigurationError(UserMistake):
    """The configuration, an option or an environment variable is wrong."""

    exit_status = 2


class DirectoryError(UserMistake):
    """A directory or file that a script needs cannot be used."""


class DatabaseUnavailable(UserMistake):
    """The database is absent, refuses the connection, or went away."""


class SchemaMismatch(UserMistake):
    """The database lacks jobcron's tables, or has them in another version."""


class LockHeld(UserMistake):
    """Another process holds the lock of this section."""

    exit_status = 3


class ProcessNotStarted(UserMistake):
    """A process for isolated jobs could not begin to work; what it said is in the message."""


class InvalidTransition(JobcronError):
    """The job may not move from its status to the one asked for (LP-02).

    Attributes:
        current: the status the job has.
        requested: the status that was asked for.
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
    """Two classes claim the same job type (LP-06)."""


class IncompleteJobType(JobcronError):
    """A class has a job type, but not what a job needs to be run (LP-04)."""


class UnknownJobType(JobcronError):
    """A job's row has a type that no class of this process claims."""


class DefinitionChanged(JobcronError):
    """The next task of a job is not among the tasks of its definition any more (DBQ-02)."""


class DuplicateJob(JobcronError):
    """The job cannot wait again: another one with the same unique key has not started yet."""


class InvalidJobData(JobcronError):
    """A job's target, data or key cannot be stored."""


class NoSession(JobcronError):
    """No session was given, and none can be found from the target or the context."""


class SuspendJobException(JobcronError):
    """Raised by a job to be suspended: it waits until somebody resumes it (LP-22)."""


class UnknownFunction(JobcronError):
    """A job's row names a function that no code of this process has registered."""


class FailedJobError(JobcronError):
    """Raised by a job that has failed for good: it is not tried again (OCQ-04)."""


class NothingToDoJob(JobcronError):
    """Raised by a function that finds nothing to do: its job completes, with the message as result (OCQ-04)."""


class RetryableJobError(JobcronError):
    """Raised by a job that may succeed later; always one of the errors that are retried.

    Args:
        msg: what went wrong.
        seconds: wait this long before the next attempt; None: the type's ``retry_delay``.
        ignore_retry: the attempt does not count, so that it uses up no retry (OCQ-04).
    """

    def __init__(self, msg: str = "", seconds: float | None = None, ignore_retry: bool = False) -> None:
        super().__init__(msg)
        self.seconds = seconds
        self.ignore_retry = ignore_retry


class TimeLimitExceeded(TimeoutError):
    """The job ran longer than the ``time_limit`` of its type."""


class MemoryLimitExceeded(MemoryError):
    """The processes of an isolated job had more in memory than its ``memory_limit`` (LP-24)."""


class OutputLimitExceeded(RuntimeError):
    """An isolated job printed more than the ``output_limit`` of its type."""


class ProcessDied(RuntimeError):
    """The process of an isolated job ended in the middle of it: by a signal, or by leaving."""


class CrashLimitReached(RuntimeError):
    """The process died each time this job ran, ``crash_limit`` times; it is not run again."""


class Interrupted(BaseException):
    """The runner has to stop while the job runs: it is rolled back and waits again.

    A BaseException, so that a job's ``except Exception`` cannot swallow it.
    """


class LeaseLost(BaseException):
    """The job is no longer this runner's: it was reclaimed, cancelled or changed by hand.

    Nothing of the attempt may be committed. A BaseException, like `Interrupted`.
    """


class ChangedMeanwhile(JobcronError):
    """Another session changed a row after the job had read it: the job runs again, on fresh rows."""


class WrongSession(JobcronError):
    """A session was used by another thread than that of its job, or after the job."""
