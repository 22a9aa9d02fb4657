"""What a session read in earlier transactions."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from sqlalchemy.orm import InstanceState, Mapper, Session, SessionTransaction

from jobcron.database._freshness.mutables import Kept

KEY = "jobcron_freshness"
"""The key in a session's ``info``."""


class Earlier:
    """The values that a session read in earlier transactions.

    Attributes:
        copies: copies of values that change in place, such as JSON, made when the last transaction ended.
        read: for each object its columns' values: the value itself, and one to compare with the row.
        forgotten: for each object the expired values, which this transaction reads again when they are used.
            Those that it did not read are put back at its end, so that they can be read between two
            transactions.
        kept: for each object the values that change in place, whose columns are expired.
        read_again: for each object its columns with such values that this transaction has read.
        collections: for each object its collections over a table of pairs that were changed before.
        flushed: of which mappers, without their subclasses, this transaction has written rows.
        in_bulk: of which tables this transaction changed rows without their objects.
        compared: what this transaction has forgotten of `read` since it compared and wrote it, in order: the rows,
            their columns and the values.
        savepoints: how much of that was forgotten when each savepoint began. Its rollback frees the locks of rows,
            so what was forgotten since is to be compared again.
        rows: the objects themselves: expired values no longer refer to them, and the session does so weakly.
    """

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.forgotten: dict[InstanceState[object], dict[str, object]] = {}
        self.kept: dict[InstanceState[object], dict[str, Kept]] = {}
        self.read_again: dict[InstanceState[object], set[str]] = {}
        self.collections: dict[InstanceState[object], set[str]] = {}
        self.flushed: set[Mapper[object]] = set()
        self.in_bulk: set[object] = set()
        self.compared: list[tuple[InstanceState[object], str, tuple[object, object]]] = []
        self.savepoints: WeakKeyDictionary[SessionTransaction, int] = WeakKeyDictionary()
        self.copies: WeakKeyDictionary[InstanceState[object], dict[str, object]] = WeakKeyDictionary()
        self.read: dict[InstanceState[object], dict[str, tuple[object, object]]] = {}

    def clear(self) -> None:
        """Forget everything."""
        for kept in self.kept.values():
            for value in kept.values():
                value.end(put_back=False)
        self.kept.clear()
        self.read_again.clear()
        self.collections.clear()
        self.flushed.clear()
        self.copies = WeakKeyDictionary()  # to clear one takes longer
        self.read.clear()
        self.forgotten.clear()
        self.rows.clear()
        self.in_bulk.clear()
        self.compared.clear()

    def forget(self, state: InstanceState[object], keys: Iterable[str]) -> None:
        """Forget what columns were before this transaction wrote them: the row is locked until it ends."""
        known, forgotten = self.read.get(state, {}), self.forgotten.get(state, {})
        for key in forgotten.keys() & keys:
            del forgotten[key]
        for key in known.keys() & keys:
            self.compared.append((state, key, known.pop(key)))

    def undo(self, savepoint: SessionTransaction) -> None:
        """Know again what was forgotten since a savepoint began: others may change the rows now."""
        begin = self.savepoints.pop(savepoint, len(self.compared))
        for state, key, value in self.compared[begin:]:
            self.read[state][key] = value
            self.read_again.get(state, set()).discard(key)
        del self.compared[begin:]


def earlier_of(session: Session) -> Earlier:
    """Return what a session read in earlier transactions."""
    known: Earlier = session.info.setdefault(KEY, None) or Earlier()
    session.info[KEY] = known
    return known
