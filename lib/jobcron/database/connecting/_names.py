"""Name the schema of jobcron's tables in our own statements, so that no search path can move them."""

from __future__ import annotations

from sqlalchemy import Engine, Table

from jobcron.database.tables import Base, JobTypeRow


def name_schema(engine: Engine, schema: str | None) -> None:
    """Let an engine's statements name the schema of jobcron's tables; those of the application stay as they are.

    Args:
        engine: one of ours.
        schema: where a new connection found the tables; None: it found none, and nothing changes.
    """
    # Not schema_translate_map: it would move the application's tables that name no schema as well.
    preparer = engine.dialect.identifier_preparer
    if schema is None or preparer.schema_for_object(JobTypeRow.__table__) == schema:
        return

    written = preparer.schema_for_object

    def schema_of(thing: object) -> str:
        is_ours = isinstance(thing, Table) and thing.metadata is Base.metadata
        return schema if is_ours else written(thing)

    preparer.schema_for_object = schema_of
    engine.clear_compiled_cache()
