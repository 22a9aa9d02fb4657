"""The Alembic environment of jobcron's own tables.

``jobcron upgrade`` runs it on a connection of its own (``config.attributes["connection"]``), so that the whole
upgrade is one transaction. The version table is ours: the application's ``alembic_version`` is left alone.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context

VERSION_TABLE = "jobcron_schema_version"


def note_oldest_code(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Keep, beside the version, what a migration says of older code: that code has not got the migration.

    What shuts older code out than that stays: new tables lack what only it needs.
    """
    oldest = getattr(step.up_revision.module, "OLDEST_CODE", None)
    if oldest is not None:
        is_older = "oldest_code IS NULL OR oldest_code < :oldest"
        note = sa.text(f"UPDATE {VERSION_TABLE} SET oldest_code = :oldest WHERE {is_older}")
        ctx.connection.execute(note, {"oldest": oldest})


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    on_version_apply=note_oldest_code,
)
context.run_migrations()
