"""Prepare a process for its forks: import the application of most tests, and run its sections once.

A run in a fresh process spends two thirds of its time on importing the application, configuring its mappers and
compiling statements. The run here is that of `run_waiting`, in the process itself, as tests do it all the time.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from compiled_statements import compile_once


def prepare() -> None:
    """Run the sections of `fooapp` on a database that is thrown away."""
    compile_once()
    folder = Path(tempfile.mkdtemp(prefix="prepared-", dir="/tmp"))
    try:
        _run_sections(folder)
    finally:
        shutil.rmtree(folder)
    del sys.modules["jobcron.scripts._section_run"]  # a run knows by it whether it is the first of its process
    assert threading.active_count() == 1, "a fork has no other threads"


def _run_sections(folder: Path) -> None:
    from instances import Instance

    url = f"sqlite:///{folder / 'jobcron.db'}"
    _in_a_fork(lambda: _make_tables(url))
    instance = Instance(folder / "instance", url)
    for actions in ([("write", "x")], [("raise", "value")], [("raise", "retryable")]):
        instance.act(*actions)
    for section in ("act", "do_foo", "telling"):
        instance.run(section)
    instance.database.close()


def _make_tables(url: str) -> None:
    import fooapp
    from jobcron import Database
    from jobcron.database.upgrade import upgrade_schema

    with Database(url).begin() as connection:
        upgrade_schema(connection, url)
        fooapp.Base.metadata.create_all(connection)


def _in_a_fork(work: Callable[[], None]) -> None:
    """Do something whose imports no other process shall have."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
