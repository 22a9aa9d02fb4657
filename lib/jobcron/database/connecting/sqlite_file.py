"""Notice that SQLite's file is not the one any more that an engine opened.

A connection stays open on a file that was moved, removed, or replaced by another one of its name, and commits into
what nobody reads. SQLite itself looks only where it keeps a rollback journal, not in WAL mode.

Files are told apart by device and inode, which cost a system call. They are never opened here: on closing a file,
the system releases all locks that the process has on it, those of SQLite included.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress

from sqlalchemy import URL, Engine, PoolProxiedConnection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ManagesConnection

from jobcron.database.trouble import refuses_writes
from jobcron.settings.database_url import SQLITE, closed_files

Identity = tuple[int, int]
"""Device and inode of a file."""

LOG_SUFFIX = "-wal"
"""SQLite's log beside the file. It stays as long as any connection is open: who removes it takes commits away."""

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
"""Errors that say that there is no such file. Others, such as EACCES, say nothing about it."""

_LOG = "jobcron_log_file"


class DatabaseFile:
    """The file of an SQLite database, as an engine first found it.

    Args:
        path: the file's path.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._known: Identity | None = None

    def watch(self, engine: Engine) -> None:
        """Let the engine make no connection and commit nothing once its file is another one."""
        commit = engine.dialect.do_commit

        def commit_watched(dbapi_connection: PoolProxiedConnection) -> None:
            self.check_before_commit(dbapi_connection)
            commit(dbapi_connection)
            self.check()  # writing to the disk takes long enough for somebody to come between

        # In the event before a commit an error would end SQLAlchemy's transaction, but not SQLite's.
        engine.dialect.do_commit = commit_watched  # type: ignore[method-assign]
        event.listen(engine, "do_connect", self._before_connecting)
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "handle_error", self._explain)

    def _explain(self, context: ExceptionContext) -> None:
        """Say which files are closed to this process: SQLite only says that the database is read-only."""
        error = context.sqlalchemy_exception
        if error is not None and refuses_writes(context.original_exception) and (why := closed_files(self._path)):
            error.jobcron_reason = why  # type: ignore[attr-defined]

    def _before_connecting(self, dialect: object, record: object, arguments: object, keywords: object) -> None:
        if self._known is None:
            self._make_private()
            with suppress(OSError):  # SQLite will say why it cannot be opened
                self._known = _identity(self._path)
        else:
            self.check()  # SQLite would create the file again

    def _connected(self, connection: object, record: object) -> None:
        self.check()  # it may have been replaced before it was opened

    def _make_private(self) -> None:
        """Create the file, if there is none, for its user alone: SQLite leaves that to the umask."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(OSError):  # it exists; or SQLite will say why it cannot be created
            os.close(os.open(self._path, flags, 0o600))

    def check_before_commit(self, connection: ManagesConnection) -> None:
        """Check the file and its log, into which a connection is about to commit.

        Raises:
            sqlite3.OperationalError: they are others.
        """
        self.check()
        self._check_log(connection)

    def check(self) -> None:
        """Check the file.

        Raises:
            sqlite3.OperationalError: it is another one.
        """
        if self._known is None:
            return
        try:
            found = _identity(self._path)
        except OSError as error:
            if error.errno in GONE:
                raise _replaced(f"{self._path} was moved or removed") from error
            return
        if found != self._known:
            raise _replaced(f"{self._path} is another file now")

    def _check_log(self, connection: ManagesConnection) -> None:
        """Check the log, which a connection has opened with its first transaction."""
        known: Identity | None = connection.info.get(_LOG)
        try:
            found = _identity(self._path + LOG_SUFFIX)
        except OSError as error:
            if known is not None and error.errno in GONE:
                raise _replaced(f"{self._path}{LOG_SUFFIX} was removed") from error
            return  # not in WAL mode; or unknown
        if known is None:
            connection.info[_LOG] = found
        elif found != known:
            raise _replaced(f"{self._path}{LOG_SUFFIX} is another file now")


def _identity(path: str) -> Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _replaced(what: str) -> sqlite3.OperationalError:
    """Return the error that SQLite has for this."""
    error = sqlite3.OperationalError(f"{what} while it was in use")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
    error.sqlite_errorname = "SQLITE_READONLY_DBMOVED"
    return error


def file_of(url: URL) -> DatabaseFile | None:
    """Return the file of a database; None if it has none, or SQLite is to read the path as a URI."""
    path = url.database if url.get_backend_name() == SQLITE else None
    return DatabaseFile(path) if path and not path.startswith((":", "file:")) else None
