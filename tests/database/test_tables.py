"""jobcron's own tables: the migrations make what the classes say."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from instances import Instance
from jobcron.database.tables import Base
from jobcron.database.version import VERSION_TABLE


def test_the_tables_are_what_the_classes_say(instance: Instance) -> None:
    with instance.database.begin() as connection:
        options = {
            "include_object": lambda thing, name, kind, reflected, other: (
                kind != "index" and (kind != "table" or (name.startswith("jobcron_") and name != VERSION_TABLE))
            )
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
