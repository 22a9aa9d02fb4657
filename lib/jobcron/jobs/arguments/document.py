"""The JSON document of a row, whose changes are kept at any depth.

SQLAlchemy notices ``document["a"] = 1``, but not ``document["done"].append(1)``. So a document that hands out a
list or a dict keeps a copy of what is in it, and each flush and each commit compares. A document that nobody reads
that way, or that has neither lists nor dicts, costs nothing.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TypeVar, cast
from weakref import WeakSet

from sqlalchemy import Connection, event, inspect
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session, SessionTransaction
from sqlalchemy.orm.attributes import flag_modified

from jobcron.database.sessions import NESTED_CHANGES, OwnedSession

Value = TypeVar("Value")
"""The type of a value."""

NESTED = (dict, list, tuple)
"""What may change inside, or hold what may."""


class Document(MutableDict[str, object]):
    """A dict in a column, whose values may be changed in place."""

    _lent: dict[str, object] | None = None
    """Copies of the nested values as the database has them; None: nobody has got one."""

    def __getitem__(self, key: str) -> object:
        self.lend()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self.lend()  # `dict(document)` and `{**document}` then ask for each value as well
        return super().__iter__()

    def get(self, key: str, default: object = None) -> object:
        """Return the value of a key, or the default."""
        self.lend()
        return super().get(key, default)

    def items(self) -> ItemsView[str, object]:  # type: ignore[override]
        """Return the pairs of keys and values."""
        self.lend()
        return super().items()

    def values(self) -> ValuesView[object]:  # type: ignore[override]
        """Return the values."""
        self.lend()
        return super().values()

    def copy(self) -> dict[str, object]:
        """Return a dict with the same values."""
        self.lend()
        return super().copy()

    def __or__(self, other: dict[str, object]) -> dict[str, object]:  # type: ignore[override]
        return self.copy() | other

    def __deepcopy__(self, memo: dict[int, object]) -> Document:
        return type(self)(self.plain())

    def plain(self) -> dict[str, object]:
        """Return a dict with copies of the values, which nobody else has."""
        return {key: copied(value) for key, value in super().items()}

    def lend(self) -> None:
        """Keep copies of the nested values, because somebody gets them."""
        if self._lent is None:
            self._lent = {key: copied(value) for key, value in super().items() if isinstance(value, NESTED)}
            if self._lent:
                for state in self._parents:
                    follow(state)

    @property
    def is_lent(self) -> bool:
        """Whether somebody has got a nested value."""
        return bool(self._lent)

    def has_changed(self) -> bool:
        """Return whether a nested value is not as it was; other changes are noticed when they are made."""
        return any(not is_same(dict.get(self, key), value) for key, value in (self._lent or {}).items())

    def written(self) -> None:
        """Take note that the database has what is here now; whoever gave a value may change it from now on."""
        self._lent = None
        self.lend()


def lent(data: dict[str, object]) -> dict[str, object]:
    """Return a job's data, of which the caller may hold and change parts without holding the job."""
    if isinstance(data, Document):
        data.lend()
    return data


def copied(value: Value) -> Value:
    """Return a copy of JSON; `copy.deepcopy` takes several times as long."""
    made: object = value
    if isinstance(value, dict):
        made = {key: copied(item) for key, item in value.items()}
    elif isinstance(value, list):
        made = [copied(item) for item in value]
    elif isinstance(value, tuple):
        made = tuple(map(copied, value))
    return cast("Value", made)


def is_same(now: object, before: object) -> bool:
    """Return whether two values are written alike: 1, 1.0 and True are not, nor are keys in another order."""
    if type(now) is not type(before):
        return False
    if isinstance(now, dict) and isinstance(before, dict):
        return [*now] == [*before] and all(map(is_same, now.values(), before.values()))
    if isinstance(now, list | tuple) and isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(is_same, now, before))
    if isinstance(now, float):
        return repr(now) == repr(before)
    return now == before


class Followed:
    """The rows of a session that have lent nested values of a document.

    Args:
        session: the session; it keeps this in its ``info``.
    """

    def __init__(self, session: Session) -> None:
        self._states: WeakSet[InstanceState[object]] = WeakSet()
        self._held: dict[InstanceState[object], object] = {}
        self._earlier: dict[SessionTransaction, list[tuple[object, str, dict[str, object]]]] = {}
        # The first event comes before every flush that has anything to write, the second before the flush that
        # precedes a query, the third also where the session seems clean. A job's session needs no third one, which
        # would be taken for code of the application that writes at the commit.
        event.listen(session, "before_flush", lambda *arguments: self())
        event.listen(session, "do_orm_execute", self._before_query)
        if not isinstance(session, OwnedSession):
            event.listen(session, "before_commit", lambda *arguments: self())
        event.listen(session, "after_transaction_create", self._savepoint_begins)
        event.listen(session, "after_soft_rollback", self._undone)
        event.listen(session, "after_transaction_end", self._ended)

    def add(self, state: InstanceState[object]) -> None:
        """Follow a row. It stays in memory until the transaction ends, as every changed row does."""
        self._states.add(state)
        self._held[state] = state.obj()

    def __call__(self) -> None:
        """Mark the documents that have changed as modified, so that the next flush writes them."""
        for row, name, _ in self._changed():
            flag_modified(row, name)

    def _before_query(self, execution: ORMExecuteState) -> None:
        # The statement that creates a job reads none; many that are created in a row would compare ever more.
        if execution.is_select:
            self()

    def _changed(self) -> Iterator[tuple[object, str, Document]]:
        for state in [*self._states]:
            row = state.obj()
            if row is None or state.session is None:
                continue
            for name, document in _documents(state):
                if name not in state.committed_state and document.has_changed():
                    yield row, name, document

    def _savepoint_begins(self, session: Session, transaction: SessionTransaction) -> None:
        """Keep changes made before a savepoint, which SQLAlchemy would have flushed had it noticed them."""
        if transaction.nested:
            found = [(row, name, document.plain()) for row, name, document in self._changed()]
            if found:
                self._earlier[transaction] = found

    def _undone(self, session: Session, transaction: SessionTransaction) -> None:
        for row, name, values in self._earlier.pop(transaction, ()):
            setattr(row, name, values)

    def _ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._held.clear()
            self._earlier.clear()


def follow(state: InstanceState[object]) -> None:
    """Find changes of a row's documents at each flush of its session from now on, if it is in one."""
    session = state.session
    if session is not None:
        followed = session.info.get(NESTED_CHANGES)
        if followed is None:
            followed = session.info[NESTED_CHANGES] = Followed(session)
        followed.add(state)


def follow_all(session: Session) -> None:
    """Follow the rows that came from another session and had lent something there."""
    for state in session.identity_map.all_states():
        if any(document.is_lent for _, document in _documents(state)):
            follow(state)


def written(mapper: Mapper[object], connection: Connection, row: object) -> None:
    """Take note that a flush has written a row; for the events ``after_insert`` and ``after_update``."""
    state: InstanceState[object] = inspect(row)
    for name, document in _documents(state):
        if name in state.committed_state:
            document.written()


def _documents(state: InstanceState[object]) -> list[tuple[str, Document]]:
    return [(name, value) for name, value in state.dict.items() if isinstance(value, Document)]
