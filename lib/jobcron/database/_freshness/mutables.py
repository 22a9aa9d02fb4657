"""Values that change in place, such as a ``MutableDict``: read again in a new transaction, and the same objects.

A job may hold such a value over the end of a transaction, and change it then. So the object stays, and gets the
new contents when its column is read again. If the job changes it before, the column is read at that moment: where
another session was first, the job is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.orm import InstanceState

CONTAINERS = (Mutable, dict, list, set, bytearray)
"""The types of values that can change in place. Of others, SQLAlchemy sees only that they are replaced."""

_MOST = frozenset({type(None), bool, int, float, str, bytes, datetime, UUID})
"""The types of most values, none of which is such a container: to look a type up takes a fifth as long."""


def copies_of(state: InstanceState[object]) -> dict[str, object]:
    """Return copies of those of a row's column values that can change in place."""
    return {
        key: deepcopy(value)
        for key, value in state.dict.items()
        if type(value) not in _MOST and isinstance(value, CONTAINERS) and key in state.mapper.column_attrs
    }


class Kept:
    """Stands for its row in a value that changes in place, while the row's column is expired.

    Args:
        state, key: the row, and the attribute.
        copy: what the value was when the earlier transaction ended.
        compare: compares the copy with what the column has now, and raises an error if they differ.
    """

    def __init__(
        self,
        state: InstanceState[object],
        key: str,
        copy: object,
        compare: Callable[[InstanceState[object], str, object, object], None],
    ) -> None:
        self._state, self._key, self._copy, self._compare = state, key, copy, compare
        self._value: Mutable = state.dict[key]
        self._is_asked = False  # whether it is the row's value again
        self._is_second = False  # whether the row has got another object with its own contents
        self._value._parents.pop(state, None)
        self._value._parents[self] = key

    def obj(self) -> object:
        """Return the row, with this value: SQLAlchemy asks for it when the value has changed.

        Raises:
            ChangedMeanwhile: another session has changed the column.
        """
        row, key = self._state.obj(), self._key
        is_replaced = key in self._state.committed_state and key in self._state.dict and not self._is_second
        if not (self._is_asked or is_replaced):
            self._is_asked = True
            self._compare(self._state, key, self._copy, getattr(row, key))
            self._state.dict[key] = self._value
        return row

    def refill(self) -> None:
        """Give the value its row's new contents, and put it in their place, if its type allows that."""
        if self._is_asked or self._key in self._state.committed_state:
            return
        if _filled(self._value, self._state.dict[self._key]):
            self._is_asked = True
            self._state.dict[self._key] = self._value
        else:
            self._is_second = True

    def end(self, *, put_back: bool) -> None:
        """Let the value tell its changes to its row itself, if it is still the row's, or is `put_back`.

        Args:
            put_back: whether it is the row's again if it has not been since the row's column was expired. One that
                has been, and is so no longer, was expired anew, as by the rollback of a savepoint.
        """
        if put_back and not self._is_asked:
            self._state.dict.setdefault(self._key, self._value)
            self._state.expired_attributes.discard(self._key)
        parents = self._value._parents
        if (
            not put_back
        ):  # in a flush, perhaps because it tells its rows of a change right now, one after the other
            parents = self._value._parents = WeakKeyDictionary(parents)
        parents.pop(self, None)
        if self._state.dict.get(self._key, self._value) is self._value:
            parents[self._state] = self._key


def _filled(value: Mutable, now: object) -> bool:
    """Replace the contents of a value without its noticing; return False if this cannot be done with its type."""
    if type(now) is not type(value):
        return False
    if isinstance(value, dict) and isinstance(now, dict):
        dict.clear(value)
        dict.update(value, now)
    elif isinstance(value, list) and isinstance(now, list):
        list.__setitem__(value, slice(None), now)
    elif isinstance(value, set) and isinstance(now, set):
        set.clear(value)
        set.update(value, now)
    else:
        return False
    return True
