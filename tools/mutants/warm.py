"""A plugin of pytest's that collects tests once, and runs some of them again and again, each time in a fork.

A fork runs them with a changed module: the functions that are there get the code of the changed ones. So neither
Python nor the tests start anew for each change. Child processes of the tests read the changed file.

    MUTANTS_LINES="5 6" MUTANTS_FIRST=TEST pytest -p warm FILE...

It reads orders from one descriptor, and writes an answer to each to the other: lines of JSON. The first test is
one of PostgreSQL: it starts the server that all use.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from inspect import CO_OPTIMIZED
from itertools import count
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Never

import psycopg2
import pytest

import jobcron.testing.plugin
from jobcron.testing.server import PrivatePostgreSQL

CANNOT = "(not by a fork)"
"""The answer where something else is changed than the code of functions."""

READY = "(ready)"

TIME_IS_UP = "(the time is up)"

_forks = count(1)
_failed: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which tests fail."""
    if report.failed:
        print(report.longreprtext, file=sys.stderr)
        _failed.append(report.nodeid)


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run tests as they are ordered, instead of all of them once."""
    orders, answers = (int(number) for number in os.environ.pop("MUTANTS_LINES").split())
    for file in orders, answers:
        os.set_inheritable(file, False)  # for its other end to be told when this process ends
    items = {item.nodeid: item for item in session.items}
    first = items[os.environ.pop("MUTANTS_FIRST")]
    server = Server(_start_server(session, first))
    gc.unfreeze()  # to find functions
    if (told := _in_a_fork(session, "", {}, [first], 120.0)) is not None:  # else each change would be noticed
        sys.exit(f"{first.nodeid} does not run in a fork: {told}")
    with open(orders) as lines, open(answers, "w") as answering:
        print(json.dumps(READY), file=answering, flush=True)  # no change is imported any more
        for line in lines:
            order = json.loads(line)
            codes = new_codes(Path(order["before"]).read_text(), Path(order["file"]).read_text(), order["file"])
            noticed_by: str | None = CANNOT
            if codes is not None:
                tests = [items[name] for name in order["tests"]]
                noticed_by = _in_a_fork(session, order["module"], codes, tests, order["seconds"])
                server.clean()
            print(json.dumps(noticed_by), file=answering, flush=True)
    os._exit(0)


def _start_server(session: pytest.Session, first: pytest.Item) -> PrivatePostgreSQL:
    """Run a test of PostgreSQL here: all forks use its server and its template."""
    another = next((item for item in session.items if item is not first), None)  # before which it is cleared away
    first.config.hook.pytest_runtest_protocol(item=first, nextitem=another)
    if _failed:
        sys.exit(f"{_failed} failed without a change")
    (server,) = (thing for thing in gc.get_objects() if isinstance(thing, PrivatePostgreSQL))
    return server


def _in_a_fork(
    session: pytest.Session, module: str, codes: dict[Any, CodeType], tests: Sequence[pytest.Item], seconds: float
) -> str | None:
    number = next(_forks)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.close(reading)
        jobcron.testing.plugin._numbers = count(number * 1000)
        change(module, codes)
        _run(session, tests, writing)
    os.close(writing)
    is_told = bool(select.select([reading], [], [], seconds)[0])
    told = os.read(reading, 1000).decode() if is_told else TIME_IS_UP
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None if told == "none" else told or "(the process died)"


def _run(session: pytest.Session, tests: Sequence[pytest.Item], writing: int) -> Never:
    """Run tests until one fails, in the fork, and end it."""
    state: Any = session
    state._setupstate.teardown_exact(tests[0])
    for test, following in zip(tests, [*tests[1:], tests[0]], strict=True):
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        if _failed:
            break
    os.write(writing, (_failed[0] if _failed else "none").encode())
    os._exit(0)


class Server:
    """The server, as it is before tests use it.

    Args:
        server: the server.
    """

    def __init__(self, server: PrivatePostgreSQL) -> None:
        self._server = server
        self._before = self._names()

    def clean(self) -> None:
        """Drop what a test that failed has left: the next one would meet it."""
        for kind, name in sorted(self._names() - self._before):  # databases first: they own what roles have
            if kind == "DATABASE":
                self._server.drop_database(name)
            else:
                self._query(f'DROP ROLE "{name}"')

    def _names(self) -> set[tuple[str, str]]:
        names = "SELECT 'DATABASE', datname FROM pg_database UNION ALL SELECT 'ROLE', rolname FROM pg_roles"
        return {(kind, name) for kind, name in self._query(names)}

    def _query(self, statement: str) -> list[Any]:
        with contextlib.closing(psycopg2.connect(self._server.url().replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def new_codes(before: str, after: str, file: str) -> dict[Any, CodeType] | None:
    """Return the code of a changed module's functions; None if something else differs too."""
    old, new = dict(_codes(compile(before, file, "exec"))), dict(_codes(compile(after, file, "exec")))
    for key, code in old.items():
        is_same_kind = key in new and new[key].co_freevars == code.co_freevars
        if not is_same_kind or (not code.co_flags & CO_OPTIMIZED and _own(code) != _own(new[key])):
            return None
    return {key: code for key, code in new.items() if code.co_flags & CO_OPTIMIZED}


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    yield (code.co_qualname, code.co_firstlineno), code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _own(code: CodeType) -> object:
    """Return what a code consists of, without the functions in it."""
    constants = [(type(one), one) for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, constants, code.co_names


def change(module: str, codes: dict[Any, CodeType]) -> None:
    """Give the functions of a module other code."""
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__module__ == module:
            old = function.__code__
            function.__code__ = codes.get((old.co_qualname, old.co_firstlineno), old)
