"""Trust nothing from an earlier transaction, and overwrite no committed change of others.

A job's session keeps loaded values when a transaction ends, so that a job can read, work outside the database
for minutes and hold no locks meanwhile. When its next transaction begins, values from an earlier one are
expired and read again when they are used. A change made between transactions, or made without reading the
object again, is compared with the row before it is written, under the row's lock. If another session has
changed the row, the job is interrupted, and runs again on fresh rows.

Only columns that the job changes are compared; a row that the job deletes must be unchanged in all columns.
Bulk statements (``update(…)``) are not compared: their conditions state what they rely on.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Connection, Executable, bindparam, event, inspect, select
from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session, SessionTransaction
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import NO_VALUE

from jobcron.database.trouble import Interruption, mark
from jobcron.errors import ChangedMeanwhile

KEY = "jobcron_freshness"
"""The key in a session's ``info``."""

WRITTEN = "jobcron_written"
"""A set that gets the identities of the rows that the session writes, if it is in the session's ``info``."""


class Earlier:
    """The values that a session read in earlier transactions.

    Attributes:
        copies: copies of values that change in place, such as JSON, made when the last transaction ended.
        read: for each object its columns' values: the value itself, and one to compare with the row.
        forgotten: for each object the expired values, which this transaction reads again when they are used.
            Those that it did not read are put back at its end, so that they can be read between two
            transactions.
        has_bulk_changes: whether this transaction changed rows without their objects.
        rows: the objects themselves: expired values no longer refer to them, and the session does so weakly.
    """

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.forgotten: WeakKeyDictionary[InstanceState[object], dict[str, object]] = WeakKeyDictionary()
        self.has_bulk_changes = False
        self.copies: WeakKeyDictionary[InstanceState[object], dict[str, object]] = WeakKeyDictionary()
        self.read: WeakKeyDictionary[InstanceState[object], dict[str, tuple[object, object]]] = WeakKeyDictionary()

    def clear(self) -> None:
        """Forget everything."""
        self.copies.clear()
        self.read.clear()
        self.forgotten.clear()
        self.rows.clear()
        self.has_bulk_changes = False


def keep_fresh(session_class: type[Session]) -> None:
    """Make the sessions of a class read again, in each transaction, what an earlier one read."""
    event.listen(session_class, "after_begin", _begin)
    event.listen(session_class, "do_orm_execute", _note_bulk_change)
    event.listen(session_class, "before_flush", _before_flush)
    event.listen(session_class, "after_flush", _after_flush)
    event.listen(session_class, "after_commit", note_values)
    event.listen(session_class, "after_soft_rollback", _after_rollback)


def note_values(session: Session) -> None:
    """Copy values that may change in place; called when a transaction has ended and its objects stay."""
    if session.get_nested_transaction() is not None:
        return
    earlier = _earlier(session)
    if not earlier.has_bulk_changes:
        _put_back(session, earlier)
    earlier.clear()
    for state in session.identity_map.all_states():
        copies: dict[str, object] = {k: deepcopy(v) for k, v in state.dict.items() if isinstance(v, Mutable)}
        if copies:
            earlier.copies[state] = copies


def _begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """Expire what earlier transactions read, except what the job has changed since."""
    if transaction.nested:
        return
    earlier = _earlier(session)
    earlier.rows = list(session.identity_map.values())
    for row in earlier.rows:
        state: InstanceState[object] = inspect(row)
        changed, loaded = state.committed_state, state.dict
        columns, others, links = _keys(state.mapper)
        copies = earlier.copies.get(state, {})
        read = {}
        stale = [key for key in others if key in loaded and key not in changed]
        forgotten = {key: loaded[key] for key in stale if key in links}
        for key in columns:
            if key in changed:
                value = loaded.get(key) if changed[key] is NO_VALUE else changed[key]
                if key in copies or changed[key] is not NO_VALUE:  # otherwise it was never read
                    read[key] = (value, copies.get(key, value))
            elif key in loaded:
                read[key] = (loaded[key], copies.get(key, loaded[key]))
                if not isinstance(loaded[key], Mutable):  # the job may still hold it, and change it
                    stale.append(key)
                    forgotten[key] = loaded[key]
        earlier.read[state], earlier.forgotten[state] = read, forgotten
        if stale:
            session.expire(row, stale)


def _note_bulk_change(execution: ORMExecuteState) -> None:
    if execution.is_update or execution.is_delete or execution.is_insert:
        _earlier(execution.session).has_bulk_changes = True


def _put_back(session: Session, earlier: Earlier) -> None:
    """Restore the values that this transaction did not read again."""
    for state, values in earlier.forgotten.items():
        row = state.obj()
        if row is None or row not in session:
            continue
        written, (_, _, links) = _made_by_server(state.mapper), _keys(state.mapper)
        for key, value in values.items():
            if key in state.dict or key in written:
                continue
            if key in links and value is not None and value not in session:
                continue  # deleted in this transaction
            set_committed_value(row, key, value)


def _before_flush(session: Session, context: object, instances: object) -> None:
    if not (session.dirty or session.deleted):
        return
    session.connection()  # begins the transaction if there is none yet
    read = _earlier(session).read
    for state in _in_order([inspect(row) for row in (*session.dirty, *session.deleted)]):
        known = read.get(state)
        if not known:
            continue
        is_deleted = state.obj() in session.deleted
        keys = [key for key in known if is_deleted or _is_from_earlier(state, key, known[key][0])]
        if keys:
            _compare(session, state, {key: known[key][1] for key in keys})


def _in_order(states: list[InstanceState[object]]) -> list[InstanceState[object]]:
    """Return rows in the order in which a flush updates them: two jobs that lock the same rows do not deadlock."""
    try:
        return sorted(states, key=lambda state: (state.mapper.class_.__name__, state.identity or ()))
    except TypeError:  # keys that cannot be compared
        return states


def _is_from_earlier(state: InstanceState[object], key: str, value: object) -> bool:
    """Return whether a column is changed, but was not read in this transaction before."""
    before = state.committed_state.get(key, state)
    return before is NO_VALUE or before is value


def _compare(session: Session, state: InstanceState[object], expected: dict[str, object]) -> None:
    """Lock a row, and compare columns with the values that were read.

    Raises:
        ChangedMeanwhile: they differ.
    """
    mapper = state.mapper
    entity: type[object] = mapper.class_
    identity = {f"key_{number}": value for number, value in enumerate(state.identity or ())}
    found = session.execute(_reading(mapper, tuple(expected)), identity).first()
    if found is None:
        raise _changed(f"another session deleted {entity.__name__} {state.identity} after this job had read it")
    for (key, value), now in zip(expected.items(), found, strict=True):
        if not mapper.columns[key].type.compare_values(value, now):
            raise _changed(
                f"another session changed {key} of {entity.__name__} {state.identity} after this job had read it"
            )


def _changed(text: str) -> ChangedMeanwhile:
    error = ChangedMeanwhile(text)
    mark(error, Interruption.CHANGED_MEANWHILE)
    return error


def _after_flush(session: Session, context: object) -> None:
    """Stop comparing what was written: the row is locked until the transaction ends."""
    read, written = _earlier(session).read, session.info.get(WRITTEN)
    for row in session.dirty:
        state: InstanceState[object] = inspect(row)
        if written is not None and state.key is not None:
            written.add(state.key)
        for key in [k for k in read.get(state, ()) if k in state.committed_state]:
            del read[state][key]


def _after_rollback(session: Session, previous: SessionTransaction) -> None:
    if not previous.nested:
        _earlier(session).clear()


def _earlier(session: Session) -> Earlier:
    known: Earlier = session.info.setdefault(KEY, None) or Earlier()
    session.info[KEY] = known
    return known


@cache
def _keys(mapper: Mapper[object]) -> tuple[list[str], list[str], set[str]]:
    """Return the names of columns (without the primary key), of relationships, and of those to one row."""
    keys = {mapper.get_property_by_column(column).key for column in mapper.primary_key}
    attributes = [attribute for attribute in mapper.column_attrs if attribute.key not in keys]
    columns = [attribute.key for attribute in attributes if isinstance(attribute.columns[0], Column)]
    computed = [attribute.key for attribute in attributes if attribute.key not in columns]
    links = {relationship.key for relationship in mapper.relationships if not relationship.uselist}
    return columns, [*computed, *(relationship.key for relationship in mapper.relationships)], links


@cache
def _made_by_server(mapper: Mapper[object]) -> set[str]:
    """Return the names of columns that the database itself writes on UPDATE."""
    columns = ((a.key, c) for a in mapper.column_attrs for c in a.columns if isinstance(c, Column))
    return {key for key, column in columns if column.server_onupdate is not None}


@cache  # making it takes longer than executing it
def _reading(mapper: Mapper[object], keys: tuple[str, ...]) -> Executable:
    """Return the statement that locks a row and reads some of its columns; `key_0` … are its primary key.

    It asks the tables, not the class: that may be joined with more, and PostgreSQL locks nothing in an outer join.
    """
    ours = [column == bindparam(f"key_{number}") for number, column in enumerate(mapper.primary_key)]
    columns = select(*(mapper.columns[key] for key in keys)).select_from(mapper.persist_selectable)
    return columns.where(*ours).with_for_update(key_share=True)
