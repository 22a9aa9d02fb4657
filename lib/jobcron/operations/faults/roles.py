"""Settings of the roles as which sections run, on PostgreSQL: the examination may run as another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, text

from jobcron.operations.faults.postgresql import ENDING
from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health

_STORED = text(
    "SELECT coalesce(rolname, ''), setdatabase <> 0, unnest(setconfig) "
    "FROM pg_db_role_setting LEFT JOIN pg_roles ON pg_roles.oid = setrole "
    "WHERE (setdatabase = 0 OR setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())) "
    "AND (setrole = 0 OR rolname = ANY (:roles))"
)

_OWN = text("SELECT name, setting FROM pg_settings WHERE name = ANY (:names)")

_NONE = re.compile(r"-?0*(\.0*)?\s*[a-z]*|-1")
"""A limit that is none, as somebody may have written it."""

READ_ONLY = "default_transaction_read_only"

ISOLATION = "default_transaction_isolation"

Level = tuple[str, bool]
"""Where a setting is stored: the role, or an empty text for all; and whether for this database alone."""


def role_findings(connection: Connection, roles: Iterable[str]) -> Iterator[Finding]:
    """Yield the settings of roles, and of the database for them, that end jobs or keep them from being claimed.

    What the server has for all roles is found by the session of the examination; see `postgresql_findings`.

    Args:
        connection: a connection to PostgreSQL that is only read.
        roles: the roles as which sections run.
    """
    wanted = sorted(set(roles))
    stored: dict[Level, dict[str, str]] = {}
    for role, is_of_database, line in connection.execute(_STORED, {"roles": wanted}):
        name, _, value = line.partition("=")
        stored.setdefault((role, is_of_database), {})[name] = value
    names = [*ENDING, READ_ONLY, ISOLATION]
    own = {name: str(value) for name, value in connection.execute(_OWN, {"names": names})}
    for role in wanted:
        for name in names:
            yield from _of_role(role, name, stored, own.get(name, ""))


def _of_role(role: str, name: str, stored: Mapping[Level, Mapping[str, str]], own: str) -> Iterator[Finding]:
    """Yield what is wrong with a setting of a role, if it is: the first level that has it decides."""
    levels: tuple[Level, ...] = ((role, True), (role, False), ("", True), ("", False))
    level = next((level for level in levels if name in stored.get(level, {})), None)
    if level is None or (level[0] == "" and _trouble(name, own) is not None):
        return  # the examination's own session tells it
    value = stored[level][name]
    told = _trouble(name, value)
    if told is not None:
        check, health, why, right = told
        subject = f"ROLE {role}" if level[0] else "ROLE ALL"
        place = " IN DATABASE …" if level[1] else ""
        remedy = f"ALTER {subject}{place} SET {name} = {right}"
        yield Finding(check, health, f"{name} is {value} for the role {role}: {why}", remedy)


def _trouble(name: str, value: str) -> tuple[str, Health, str, str] | None:
    """Return the check, the health, the reason and the right value, if a value is wrong."""
    value = value.strip().lower()
    match name:
        case "default_transaction_read_only":
            if value not in ("off", "false", "no", "0", ""):
                return "read-only", Health.CRITICAL, "none of its jobs can be claimed", "off"
        case "default_transaction_isolation":
            if value not in ("read committed", ""):
                told = "claims of several runners fail against each other"
                return "isolation", Health.WARNING, told, "'read committed'"
        case _:
            if not _NONE.fullmatch(value):
                return "timeouts", Health.WARNING, "it ends jobs that take longer", "0"
    return None
