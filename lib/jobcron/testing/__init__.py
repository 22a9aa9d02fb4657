"""What tests of jobs need (LP-15, LP-30): a session never committed, jobs in any status, loggers, scripts."""

from jobcron.testing.factory import JobFactory, database_session, outbox, use_session
from jobcron.testing.loggers import BufferLogger, DevNullLogger
from jobcron.testing.scripts import run_script

__all__ = [
    "BufferLogger",
    "DevNullLogger",
    "JobFactory",
    "database_session",
    "outbox",
    "run_script",
    "use_session",
]
