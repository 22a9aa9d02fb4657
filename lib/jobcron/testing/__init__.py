"""Tools for tests of jobs (LP-15, LP-30): a session that never commits, jobs in any status, loggers, scripts.

Names are loaded when they are first used: pytest loads `jobcron.testing.plugin` wherever jobcron is installed, and
this must cost nothing in projects that do not use it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobcron.testing.assertions import assert_completed as assert_completed
    from jobcron.testing.assertions import assert_failed as assert_failed
    from jobcron.testing.assertions import assert_waiting as assert_waiting
    from jobcron.testing.assertions import run_waiting as run_waiting
    from jobcron.testing.assertions import waiting_jobs as waiting_jobs
    from jobcron.testing.factory import JobFactory as JobFactory
    from jobcron.testing.factory import database_session as database_session
    from jobcron.testing.factory import outbox as outbox
    from jobcron.testing.factory import use_session as use_session
    from jobcron.testing.loggers import BufferLogger as BufferLogger
    from jobcron.testing.loggers import DevNullLogger as DevNullLogger
    from jobcron.testing.scripts import run_script as run_script

_HOME_OF = {
    "BufferLogger": "loggers",
    "DevNullLogger": "loggers",
    "JobFactory": "factory",
    "assert_completed": "assertions",
    "assert_failed": "assertions",
    "assert_waiting": "assertions",
    "database_session": "factory",
    "outbox": "factory",
    "run_script": "scripts",
    "run_waiting": "assertions",
    "use_session": "factory",
    "waiting_jobs": "assertions",
}

__all__ = list(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
