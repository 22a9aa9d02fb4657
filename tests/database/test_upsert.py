"""INSERT … ON CONFLICT on both databases."""

from __future__ import annotations

from sqlalchemy import select

from instances import Instance
from jobcron.database.statements import insert_into
from jobcron.database.tables import JobSourceRow, JobTypeRow


def test_a_conflict_changes_the_row_or_does_nothing_as_the_statement_says(instance: Instance) -> None:
    with instance.database.begin() as connection:
        for _ in range(2):
            type_row = insert_into(JobTypeRow, connection).values(name="shop.PACK")
            connection.execute(type_row.on_conflict_do_nothing(index_elements=["name"]))
        number = connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name == "shop.PACK")).one()
        for own in (False, True):
            insert = insert_into(JobSourceRow, connection)
            insert = insert.values(name="shop.Pack", type_id=number, own_iter_ready=own)
            changed = {"own_iter_ready": insert.excluded.own_iter_ready}
            connection.execute(insert.on_conflict_do_update(index_elements=["name", "type"], set_=changed))
        kept = connection.scalars(select(JobSourceRow.own_iter_ready).where(JobSourceRow.type_id == number))
        assert kept.all() == [True]
