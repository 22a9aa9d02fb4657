"""The Alembic environment of jobcron's own tables.

``jobcron upgrade`` runs it on a connection of its own (``config.attributes["connection"]``), so that the whole
upgrade is one transaction. The version table is ours: the application's ``alembic_version`` is left alone.
"""

from alembic import context

VERSION_TABLE = "jobcron_schema_version"

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
