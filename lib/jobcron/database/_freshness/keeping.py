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

from collections.abc import Iterable
from functools import cache

from sqlalchemy import Column, Connection, event, inspect
from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, QueryContext, Session, SessionTransaction
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.base import NO_VALUE

from jobcron.database._freshness.comparing import changed_column, compare, compare_column, in_order
from jobcron.database._freshness.earlier import KEY, Earlier, earlier_of
from jobcron.database._freshness.expired import ExpiredMeanwhile
from jobcron.database._freshness.links import changed_pairs, is_as_read, reading_collection, written_by_links
from jobcron.database._freshness.mutables import Kept, copies_of
from jobcron.database.tables import Base

WRITTEN = "jobcron_written"
"""A set that gets the identities of the rows that the session writes, if it is in the session's ``info``."""


def keep_fresh(session_class: type[Session]) -> None:
    """Make the sessions of a class read again, in each transaction, what an earlier one read."""
    event.listen(session_class, "after_transaction_create", _note_savepoint)
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
    earlier = earlier_of(session)
    if not earlier.in_bulk:
        _put_back(session, earlier)
    for state, kept in earlier.kept.items():
        is_known = earlier.in_bulk.isdisjoint(state.mapper.tables)
        for value in kept.values():
            value.end(put_back=is_known)
    earlier.clear()
    for state in session.identity_map.all_states():
        if copies := copies_of(state):
            earlier.copies[state] = copies


def _note_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        earlier = earlier_of(session)
        earlier.savepoints[transaction] = len(earlier.compared)


def _begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """Expire what earlier transactions read, except what the job has changed since."""
    if transaction.nested:
        return
    earlier = earlier_of(session)
    earlier.rows = list(session.identity_map.values())
    for row in earlier.rows:
        _expire(session, instance_state(row), earlier)


def _expire(session: Session, state: InstanceState[object], earlier: Earlier) -> None:
    """Expire what an earlier transaction read of one row, and note what it was."""
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
            if not isinstance(loaded[key], Mutable):
                forgotten[key] = loaded[key]
            elif isinstance(state.obj(), Base):  # our own row: nobody else changes these, and to read them costs
                continue
            else:
                earlier.kept.setdefault(state, {})[key] = Kept(state, key, copies.get(key), compare_column)
            stale.append(key)
    earlier.read[state], earlier.forgotten[state] = read, forgotten
    if collections := changed_pairs(state):
        earlier.collections[state] = set(collections)
    if copies:
        _hear_of_reading(state.mapper)
    if stale:
        if state.expired_attributes:
            state.expired_attributes = ExpiredMeanwhile(state.expired_attributes, stale)
        session.expire(state.obj(), stale)


@cache
def _hear_of_reading(mapper: Mapper[object]) -> None:
    """Note, from now on, which values that change in place are read again, of rows of a class."""
    event.listen(mapper.class_, "refresh", _note_reading, raw=True)


def _note_reading(state: InstanceState[object], context: QueryContext, attributes: Iterable[str] | None) -> None:
    earlier: Earlier | None = None if state.session is None else state.session.info.get(KEY)
    if earlier is None:
        return
    kept = earlier.kept.get(state, {})
    for key in earlier.copies.get(state, ()):
        if key in state.dict and (attributes is None or key in attributes):
            earlier.read_again.setdefault(state, set()).add(key)
            if key in kept:
                kept[key].refill()


def _note_bulk_change(execution: ORMExecuteState) -> None:
    if execution.is_update or execution.is_delete or execution.is_insert:
        earlier_of(execution.session).in_bulk.add(getattr(execution.statement, "table", None))


def _put_back(session: Session, earlier: Earlier) -> None:
    """Restore the values that this transaction did not read again."""
    for state, values in earlier.forgotten.items():
        if not session.identity_map.contains_state(state):
            continue  # deleted, or expunged
        loaded, written, (_, _, links) = state.dict, _made_by_server(state.mapper), _keys(state.mapper)
        unread = {key: value for key, value in values.items() if key not in loaded and key not in written}
        for key in unread.keys() & links:
            other = unread[key]
            is_gone = other is not None and other not in session  # deleted in this transaction
            if is_gone or not is_as_read(state, key, values, earlier.flushed):
                del unread[key]
        loaded.update(unread)
        state._commit(loaded, unread)  # as `set_committed_value` does for each of them


def _before_flush(session: Session, context: object, instances: object) -> None:
    if not (session.dirty or session.deleted or session.new):
        return
    session.connection()  # begins the transaction if there is none yet
    earlier = earlier_of(session)
    if not (earlier.read or earlier.collections):
        return
    written = _written_by_links(session)
    rows: list[InstanceState[object]] = [inspect(row) for row in (*session.dirty, *session.deleted)]
    for state in in_order(dict.fromkeys([*rows, *written])):
        known = earlier.read.get(state, {})
        is_deleted = state.obj() in session.deleted or (state in written and state.mapper._is_orphan(state))
        keys = [
            key
            for key in known
            if is_deleted
            or _is_from_earlier(state, key, known[key][0], earlier)
            or (key in written.get(state, ()) and state.dict.get(key, known[key][0]) is known[key][0])
        ]
        if keys:
            compare(session, state, {key: known[key][1] for key in keys})
        if state in earlier.collections:
            _compare_pairs(session, state, earlier.collections.pop(state))
        earlier.forget(state, state.committed_state)  # now: SQL that computes a value is no value afterwards


def _compare_pairs(session: Session, state: InstanceState[object], keys: set[str]) -> None:
    """Compare the pairs that changed collections make and delete with those that there are.

    Not all that a collection held: a loader's option may have made it a part of what is there.
    """
    for key, (added, deleted) in changed_pairs(state).items():
        if key not in keys:
            continue
        now = {tuple(found) for found in session.execute(reading_collection(state, key))}
        if not (deleted <= now and added.isdisjoint(now)):
            raise changed_column(state, key)


def _written_by_links(session: Session) -> dict[InstanceState[object], set[str]]:
    """Return the columns that the flush writes since relationships were changed."""
    found: dict[InstanceState[object], set[str]] = {}
    for row in (*session.new, *session.dirty):
        for state, key in written_by_links(inspect(row)):
            found.setdefault(state, set()).add(key)
    return found


def _is_from_earlier(state: InstanceState[object], key: str, value: object, earlier: Earlier) -> bool:
    """Return whether a column is changed, but was not read in this transaction before."""
    before = state.committed_state.get(key, state)
    if before is NO_VALUE:  # replaced without a look at it, or changed in place
        return key not in earlier.read_again.get(state, ())
    return before is value


def _after_flush(session: Session, context: object) -> None:
    """Stop comparing what was written, foreign keys of changed relationships included."""
    earlier, written = earlier_of(session), session.info.get(WRITTEN)
    for row in (*session.new, *session.dirty, *session.deleted):
        earlier.flushed.add(inspect(row).mapper.base_mapper)
    for row in session.dirty:
        state: InstanceState[object] = inspect(row)
        if written is not None and state.key is not None:
            written.add(state.key)
        earlier.forget(state, state.committed_state.keys() | _made_on_update(state.mapper))
        kept = earlier.kept.get(state, {})
        for key in kept.keys() & state.committed_state:
            kept.pop(key).end(put_back=False)


def _after_rollback(session: Session, previous: SessionTransaction) -> None:
    """Forget the transaction, or, of a savepoint, that rows were compared under locks which are free now."""
    ended: SessionTransaction | None = previous
    while ended is not None and not ended.nested:  # that of a flush that failed is a part of the other
        ended = ended.parent
    if ended is None:
        earlier_of(session).clear()
    else:
        earlier_of(session).undo(ended)


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
def _made_on_update(mapper: Mapper[object]) -> set[str]:
    """Return the names of columns that an UPDATE writes of itself."""
    version = mapper.version_id_col
    columns = ((a.key, c) for a in mapper.column_attrs for c in a.columns if isinstance(c, Column))
    return _made_by_server(mapper) | {key for key, c in columns if c.onupdate is not None or c is version}


@cache
def _made_by_server(mapper: Mapper[object]) -> set[str]:
    """Return the names of columns that the database itself writes on UPDATE."""
    columns = ((a.key, c) for a in mapper.column_attrs for c in a.columns if isinstance(c, Column))
    return {key for key, column in columns if column.server_onupdate is not None}
