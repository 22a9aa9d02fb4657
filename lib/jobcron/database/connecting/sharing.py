"""A transaction that several jobs share: what one of them may send there, so that the others do not notice."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import lru_cache
from typing import NoReturn

from jobcron.errors import LeavesGroup

_SHAREABLE = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*"
    r"(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|VALUES|TABLE|COPY|FETCH|SHOW|EXPLAIN|"
    r"SAVEPOINT|RELEASE|ROLLBACK\s+(?:TRANSACTION\s+)?TO)\b",
    re.IGNORECASE | re.DOTALL,
)
"""The beginning of a statement that reads or writes rows, or belongs to a savepoint of the job's own."""

SHOWN = 60


class Shared:
    """A driver's connection whose transaction several jobs may share; see `begin_sharing`.

    Attributes:
        is_shared: whether jobs share its transaction now.
        breach: what a job has done that it may only do in a transaction of its own; empty: nothing.
    """

    is_shared = False
    breach = ""

    @property
    def is_marked(self) -> bool:
        """Whether something was done to the connection, since the sharing began, that no statement undoes."""
        return False

    @property
    @abstractmethod
    def is_in_transaction(self) -> bool:
        """Whether a transaction has begun, and nothing has ended it or made it useless."""

    def begin_sharing(self) -> None:
        """From here on, let through only statements of which the next jobs notice nothing, and no COMMIT."""
        self.is_shared, self.breach = True, ""

    def end_sharing(self) -> None:
        """Let everything through again."""
        self.is_shared = False

    def next_job_begins(self) -> None:
        """Note that what follows is another job's."""

    def check_statement(self, statement: object) -> None:
        """Check a statement before it is sent.

        Raises:
            LeavesGroup: jobs share the transaction, and the others would notice it.
        """
        if self.is_shared and not (isinstance(statement, str) and may_share(statement)):
            self.refuse(f"sent {str(statement).strip()[:SHOWN]}")

    def check_commit(self) -> None:
        """Check that the transaction may be committed.

        Raises:
            LeavesGroup: jobs share it.
        """
        if self.is_shared:
            self.refuse("committed")

    def note_rollback(self) -> None:
        """Note that the transaction was rolled back, with the work of all jobs."""
        if self.is_shared and not self.breach:
            self.breach = "rolled back"

    def refuse(self, what: str) -> NoReturn:
        """Note what a job has done, and refuse it.

        Raises:
            LeavesGroup: always.
        """
        self.breach = what
        raise LeavesGroup(what)


@lru_cache(1000)
def may_share(statement: str) -> bool:
    """Return whether a text is one statement of which other jobs in the same transaction notice nothing.

    A semicolon inside a literal counts as well: such a job merely runs by itself.
    """
    return _SHAREABLE.match(statement) is not None and ";" not in statement.strip().rstrip(";")
