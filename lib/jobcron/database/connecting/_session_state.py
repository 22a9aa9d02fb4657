"""The state of a PostgreSQL session: what is found when it begins, and the text that puts it back to that."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from jobcron.database.connecting.options import SERVERS_END

_ASK = """
SELECT (SELECT space.nspname
        FROM pg_catalog.pg_class AS found JOIN pg_catalog.pg_namespace AS space ON space.oid = found.relnamespace
        WHERE found.oid = pg_catalog.to_regclass('jobcron_job')),
       pg_catalog.pg_backend_pid(), session_user, pg_catalog.current_setting('role')"""

SET_UP = f"{'; '.join(f'SET {name} = {value}' for name, value in SERVERS_END.items())};{_ASK}"
"""Sets up a connection, and asks for the schema of jobcron's tables and for the state of the session."""


class Found(NamedTuple):
    """The row that `SET_UP` returns.

    Attributes:
        schema: where jobcron's tables are; None: there are none on the search path.
        process: the number of the server's process.
        session_user, role: those of the session.
    """

    schema: str | None
    process: int
    session_user: str
    role: str


CONFIGURED = """
SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE source = 'session'
UNION ALL
SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.unnest(%s::text[]) AS name
WHERE pg_catalog.current_setting(name, true) IS NOT NULL"""
"""Asks what statements have set in the session. It takes milliseconds, and so is asked only after such ones."""

LOCKS = "SELECT pg_catalog.pg_advisory_unlock_all();\n"

_REPORTED = ("application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone")
"""What a pooler sets for each of its clients, and the server reports unasked."""


_OF_APPLICATION = re.compile(r"\b[A-Za-z_]\w*\.[A-Za-z_]\w*")


def names_in(statements: str) -> list[str]:
    """Return what may be the names of an application's own settings, which the server does not list."""
    return sorted(set(_OF_APPLICATION.findall(statements)))


class Session(Protocol):
    """A session as its connection knows it: see `jobcron.database.connecting._watch`."""

    @property
    def process(self) -> int: ...

    @property
    def user(self) -> str: ...

    def reported(self, name: str) -> str | None: ...

    def quoted(self, text: str) -> str: ...


class Forms(NamedTuple):
    """A statement that commits itself, in the forms in which it is sent.

    Attributes:
        plain: returns it with its values.
        prepare: prepares it in the session, under a name of ours.
        execute: executes what is prepared, with its values.
    """

    plain: Callable[[], str]
    prepare: str
    execute: str


class Clearing(NamedTuple):
    """The texts that put a session back.

    Attributes:
        leaving: for the end of a job's transaction. Constraints are checked first, under the job's settings.
        entering: for the first statement after a job that ended otherwise.
        alone: for a statement that commits itself, at the end of a job without a transaction.
        is_direct: whether the session is this connection's alone; False: a pooler lends it.
    """

    leaving: str
    entering: str
    alone: str
    is_direct: bool


def clearing_of(connection: Session, found: Found, configured: dict[str, str]) -> Clearing:
    """Return the texts that put a session back to its present state.

    These are the parts of ``DISCARD ALL`` that can travel with another statement.

    Args:
        connection: the session's.
        found: what `SET_UP` found.
        configured: what statements have set in the session before.
    """
    # Behind a pooler the server's process is another one than it gave us. Prepared statements are then the
    # pooler's own, and whoever used the process before us may have left settings there.
    is_direct = found.process == connection.process
    reported = ((name, connection.reported(name)) for name in _REPORTED)
    settings = {**SERVERS_END, **{name: value for name, value in reported if value is not None}}
    if is_direct:
        settings.update(configured)
    is_other_user = is_direct and found.session_user != connection.user
    parts = [
        "CLOSE ALL",
        f"SET SESSION AUTHORIZATION {_name(found.session_user)}"
        if is_other_user
        else "RESET SESSION AUTHORIZATION",
        f"SET ROLE {_name(found.role)}" if is_direct and found.role != "none" else "RESET ROLE",
        "RESET ALL",
        *_set(connection, settings),
        "UNLISTEN *",
        "DISCARD TEMP",
        "DISCARD SEQUENCES",
        *(["DEALLOCATE ALL"] if is_direct else []),
    ]
    text = "; ".join(parts)
    return Clearing(f"SET CONSTRAINTS ALL IMMEDIATE; {text};\n", f"{text}; {LOCKS}", f"{text};\n", is_direct)


def new_transaction(level: str, readonly: bool | None, deferrable: bool | None) -> str:
    """Return what ends a transaction, and begins one with these characteristics.

    Args:
        level: the isolation level, as SQL; empty for the default.
        readonly, deferrable: None for the default.
    """
    text = f"COMMIT; BEGIN{f' ISOLATION LEVEL {level}' if level else ''}"
    if readonly is not None:
        text += " READ ONLY" if readonly else " READ WRITE"
    if deferrable is not None:
        text += " DEFERRABLE" if deferrable else " NOT DEFERRABLE"
    return f"{text};\n"


def _set(connection: Session, settings: dict[str, str]) -> list[str]:
    calls = [
        f"pg_catalog.set_config({connection.quoted(name)}, {connection.quoted(value)}, false)"
        for name, value in sorted(settings.items())
    ]
    return [f"SELECT {', '.join(calls)}"] if calls else []


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
