"""Write what the database refuses: rows as they may be that are older than its rules."""

from __future__ import annotations

from instances import Instance


def write_by_force(instance: Instance, job: int, **values: str) -> None:
    """Write values into a row as they were before the database refused them."""
    triggers = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'jobcron_job'",
        "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger "
        "WHERE tgrelid = 'jobcron_job'::regclass AND NOT tgisinternal",
    }[instance.database.dialect]
    on = "" if instance.database.dialect == "sqlite" else " ON jobcron_job"
    with instance.database.begin() as connection:
        found = connection.exec_driver_sql(triggers).all()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")
        for column, value in values.items():
            connection.exec_driver_sql(f"UPDATE jobcron_job SET {column} = {value} WHERE id = {job}")
        for _, definition in found:
            connection.exec_driver_sql(definition)
