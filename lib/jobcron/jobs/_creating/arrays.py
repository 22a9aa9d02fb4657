"""Insert many rows into a table of PostgreSQL by a few statements: each column is one array, or one value for all.

`COPY` is no quicker where the table has triggers and foreign keys, and it knows neither ON CONFLICT, RETURNING nor
the policies of row-level security.
"""

# why: decisions 2026-11-30, many jobs are inserted as arrays

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    bindparam,
    column,
    func,
    literal_column,
    select,
    types,
)
from sqlalchemy.dialects import postgresql

from jobcron.database.statements import AnyInsert

ROWS = 5000
"""So many rows are inserted by one statement."""

_SIMPLE = (
    types.Boolean,
    types.Date,
    types.DateTime,
    types.Float,
    types.Integer,
    types.Interval,
    types.JSON,
    types.LargeBinary,
    types.Numeric,
    types.String,
    types.Time,
    types.Uuid,
)
"""The types that can be items of an array: an array would lose its form in another one, and others are unknown."""

_COMPARABLE = (int, str, type(None))
"""The types whose equal values are written alike."""

Rows = Sequence[Mapping[str, object]]


def has_simple_types(table: Table, dialect: Dialect) -> bool:
    """Return whether the values of all columns of a table can be sent as arrays."""
    return all(_is_simple(one, dialect) for one in table.columns)


def _is_simple(of_table: Column[object], dialect: Dialect) -> bool:
    if of_table.type.bind_expression(bindparam(None, None, of_table.type)) is not None:
        return False
    found = of_table.type.dialect_impl(dialect)
    inner = found.impl_instance if isinstance(found, types.TypeDecorator) else found
    return isinstance(inner, _SIMPLE) and (not _has_length(inner) or _is_text(found))


def _has_length(kind: object) -> bool:
    """Return whether values that are too long would be cut silently: an array is cast to the type of its items."""
    is_native = isinstance(kind, types.Enum) and kind.native_enum
    return isinstance(kind, types.String) and kind.length is not None and not is_native


def _is_text(kind: object) -> bool:
    """Return whether values of a type are strings that are sent as they are."""
    return isinstance(kind, types.String) and type(kind).bind_processor is types.String.bind_processor


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Rows,
    returned: ColumnElement[int] | None,
    made_by_server: Mapping[str, ColumnElement[object]] | None = None,
    adapt: Callable[[AnyInsert], AnyInsert] | None = None,
) -> list[int]:
    """Insert rows, and return their numbers, in their order.

    Args:
        connection: of the transaction.
        table: whose types are simple.
        rows: for each its values by the keys of the columns; others get the database's default.
        returned: the column with the number, which grows from row to row; None: no numbers are returned, since
            whoever creates jobs may have no privilege to read the table.
        made_by_server: expressions for more columns, one value for each row.
        adapt: completes the statement; with it rows may be passed over, whose numbers are missing then.
    """
    numbers: dict[int, int] = {}
    for places in _alike(rows):
        for first in range(0, len(places), ROWS):
            some = places[first : first + ROWS]
            given = [rows[place] for place in some]
            made = _insert(table, given, made_by_server or {}, connection.dialect)
            insert = made if adapt is None else adapt(made)
            if returned is None:
                connection.execute(insert)
            else:
                # Numbers are given in the order of the rows, by which the server sorts them first.
                numbers.update(zip(some, sorted(connection.scalars(insert.returning(returned))), strict=False))
    return [numbers[place] for place in range(len(rows)) if place in numbers]


def _alike(rows: Rows) -> Iterable[list[int]]:
    """Return the places of rows that have values for the same columns."""
    found: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        found[tuple(row)].append(place)
    return found.values()


def _insert(
    table: Table, rows: Rows, made_by_server: Mapping[str, ColumnElement[object]], dialect: Dialect
) -> AnyInsert:
    given: dict[str, ColumnElement[object]] = {**made_by_server}
    arrays, columns = [], []
    for name in rows[0]:
        kind = table.c[name].type
        values = [row[name] for row in rows]
        if _is_one(values):
            given[name] = bindparam(None, values[0], kind, unique=True)
        else:
            # As text, so that the server compares the lengths of the values with the column's, and refuses them.
            item = types.Text() if _has_length(kind.dialect_impl(dialect)) else kind
            arrays.append(bindparam(None, values, ARRAY(item), unique=True))
            given[name] = column(f"c{len(arrays)}", kind)
            columns.append(column(f"c{len(arrays)}", kind))
    if arrays:
        source = func.unnest(*arrays).table_valued(*columns, with_ordinality="place", name="rows")
    else:
        source = func.generate_series(1, len(rows)).table_valued("place", name="rows")
    ordered = select(*given.values()).select_from(source.render_derived()).order_by(literal_column("place"))
    return postgresql.insert(table).from_select(list(given), ordered, include_defaults=False)


def _is_one(values: Sequence[object]) -> bool:
    """Return whether all values are written alike."""
    first = values[0]
    if first == {} or type(first) in _COMPARABLE:
        kind = type(first)
        return values.count(first) == len(values) and all(type(value) is kind for value in values)
    return all(value is first for value in values)
