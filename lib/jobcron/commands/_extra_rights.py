"""Find a role's rights beyond those on tables, and make the statements that revoke them (LP-13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, text

ATTRIBUTES = ("CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
"""Attributes that a role for tables does not need; a superuser is refused."""

_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS"}

_OWNED = text(
    "SELECT relname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner "
    "WHERE rolname = :name AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
    "UNION ALL SELECT nspname FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner WHERE rolname = :name "
    "UNION ALL SELECT proname FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner WHERE rolname = :name "
    "UNION ALL SELECT datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname = :name "
    "LIMIT 1"
)

_SCHEMAS = text(
    "SELECT nspname FROM pg_namespace, aclexplode(nspacl) AS acl WHERE acl.grantee = CAST(:role AS regrole) "
    "UNION SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, "
    "aclexplode(relacl) AS acl WHERE acl.grantee = CAST(:role AS regrole) "
    "UNION SELECT nspname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
    "JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(attacl) AS acl "
    "WHERE acl.grantee = CAST(:role AS regrole)"
)

_DEFAULTS = text(
    "SELECT DISTINCT pg_get_userbyid(defaclrole) AS owner, nspname AS schema, CAST(defaclobjtype AS text) AS kind "
    "FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace, "
    "aclexplode(defaclacl) AS acl WHERE acl.grantee = CAST(:role AS regrole)"
)

_PUBLIC = text(
    "SELECT acl.privilege_type AS verb, 'SCHEMA' AS kind, nspname AS schema, NULL AS name "
    "FROM pg_namespace, aclexplode(nspacl) AS acl "
    "WHERE acl.grantee = 0 AND nspname = ANY(:schemas) AND acl.privilege_type <> 'USAGE' "
    "UNION ALL SELECT acl.privilege_type, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, "
    "relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl) AS acl "
    "WHERE acl.grantee = 0 AND nspname = ANY(:schemas) ORDER BY 2, 3, 4, 1"
)


# why: decisions 2026-11-25, `grant` resets attributes of roles
class Surplus:
    """The rights in a database that the files do not grant.

    Args:
        connection: a connection to the database.
        quote: a function that quotes a name.
    """

    def __init__(self, connection: Connection, quote: Callable[[str], str]) -> None:
        self._connection = connection
        self._quote = quote

    def owned(self, name: str) -> str | None:
        """Return an object that a role owns, if any: an owner may do anything with it, whatever is revoked."""
        found: str | None = self._connection.scalar(_OWNED, {"name": name})
        return found

    def schemas(self, name: str) -> set[str]:
        """Return the schemas in which a role has rights."""
        return set(self._connection.scalars(_SCHEMAS, {"role": self._quote(name)}))

    def revoked(self, name: str) -> Iterator[str]:
        """Yield statements that revoke rights beyond today's tables: in the database, and in future tables."""
        role, database = (
            self._quote(name),
            self._quote(str(self._connection.scalar(text("SELECT current_database()")))),
        )
        yield f"REVOKE CREATE ON DATABASE {database} FROM {role}"
        for owner, schema, kind in self._connection.execute(_DEFAULTS, {"role": role}):
            where = f" IN SCHEMA {self._quote(schema)}" if schema else ""
            whose = f"ALTER DEFAULT PRIVILEGES FOR ROLE {self._quote(owner)}{where}"
            yield f"{whose} REVOKE ALL ON {_KINDS[kind]} FROM {role}"

    def warnings(self, schemas: list[str]) -> Iterator[str]:
        """Yield warnings about rights of PUBLIC, which these roles have too; they are not ours to revoke."""
        for verb, kind, schema, name in self._connection.execute(_PUBLIC, {"schemas": schemas}):
            thing = ".".join(self._quote(part) for part in (schema, name) if part)
            yield (
                f"Everybody may {verb} on the {kind.lower()} {thing}, these roles too. To end it: "
                f"REVOKE {verb} ON {kind} {thing} FROM PUBLIC;"
            )
