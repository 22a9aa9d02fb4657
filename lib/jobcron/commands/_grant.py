"""``jobcron grant``: create the database roles, and give them the rights in the security.cfg files (LP-13)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from jobcron.commands._extra_rights import ATTRIBUTES, Surplus
from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.roles import VERBS, Right, Role, roles_of
from jobcron.database.trouble import first_line
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.settings.instance import load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("--dry-run", action="store_true", help="only print the statements")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return grant(options.config, options.dry_run)


def grant(config: str | None, dry_run: bool) -> int:
    """Bring roles and rights into line with the files, in one transaction, and return the exit status.

    Args:
        config: the value of ``--config``.
        dry_run: only print the statements.

    Raises:
        ConfigurationError: a file is wrong, or names something that does not exist.
        DatabaseUnavailable: the database refuses.
    """
    settings = load_settings(config)
    roles = roles_of(settings)
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        if database.dialect == "sqlite":
            say("SQLite has no roles: every process that may write the file may do everything. Nothing to do.")
            return 0
        with database.begin() as connection:
            grants = Grants(connection, roles)
            for statement in list(grants.statements()):
                if dry_run:
                    say(f"{statement};")
                else:
                    connection.exec_driver_sql(statement)
            warnings = list(grants.warnings())
    except DBAPIError as error:
        raise DatabaseUnavailable(
            f"{settings.database_origin}: the database {database.describe()} refuses to grant: "
            f"{first_line(error.orig)}"
        ) from error
    finally:
        database.close()
    for warning in warnings:
        say(f"{'-- ' if dry_run else ''}{warning}")
    if not dry_run:
        others = "no others except those of PUBLIC" if warnings else "no others"
        say(f"{len(roles)} roles have the rights that they need, and {others}.")
    return 0


class Grants:
    """The statements that bring a database into line with the files.

    Args:
        connection: a connection to the database.
        roles: the roles as they should be.

    Raises:
        ConfigurationError: a table does not exist.
    """

    def __init__(self, connection: Connection, roles: dict[str, Role]) -> None:
        self._connection = connection
        self._roles = roles
        self._quote = connection.dialect.identifier_preparer.quote_identifier
        self._default = str(connection.scalar(text("SELECT current_schema()")))
        self._surplus = Surplus(connection, self._quote)
        self._places = {right.table: self._place(right) for role in roles.values() for right in role.rights}
        self._schemas = sorted({schema for schema, _ in self._places.values()} | {self._default})

    def statements(self) -> Iterator[str]:
        """Yield the statements to execute, in order.

        Raises:
            ConfigurationError: a role cannot be limited.
        """
        found = {role.name: self._found(role) for role in self._roles.values()}
        for role in self._roles.values():
            yield from self._made(role, found[role.name])
        for role in self._roles.values():
            name = self._quote(role.name)
            if found[role.name] is not None:
                yield from self._cleared(role)
            for schema in map(self._quote, self._schemas):
                yield f"GRANT USAGE ON SCHEMA {schema} TO {name}"
            for right in role.rights:
                yield from self._granted(name, right, self._places[right.table])
            for group in role.groups:
                yield f"GRANT {self._quote(group)} TO {name}"

    def warnings(self) -> Iterator[str]:
        """Yield warnings about rights of PUBLIC in these schemas."""
        yield from self._surplus.warnings(self._schemas)

    def _found(self, role: Role) -> list[bool] | None:
        columns = ", ".join(f"rol{attribute.lower()}" for attribute in ATTRIBUTES)
        row = self._connection.execute(
            text(f"SELECT rolsuper, rolcanlogin, {columns} FROM pg_roles WHERE rolname = :name"),
            {"name": role.name},
        ).first()
        return None if row is None else list(row)

    def _made(self, role: Role, found: list[bool] | None) -> Iterator[str]:
        login = "LOGIN" if role.may_log_in else "NOLOGIN"
        if found is None:
            yield f"CREATE ROLE {self._quote(role.name)} {login}"
            return
        is_super, may_log_in, *has = found
        owned = self._surplus.owned(role.name)
        if is_super or owned:
            why = "is a superuser" if is_super else f"owns {owned}"
            raise ConfigurationError(f"{role.place}: expected a role whose rights can be limited, this one {why}")
        if may_log_in != role.may_log_in:
            yield f"ALTER ROLE {self._quote(role.name)} {login}"
        surplus = [f"NO{attribute}" for attribute, is_set in zip(ATTRIBUTES, has, strict=True) if is_set]
        if surplus:
            yield f"ALTER ROLE {self._quote(role.name)} {' '.join(surplus)}"

    def _cleared(self, role: Role) -> Iterator[str]:
        """Yield statements that revoke all rights of a role."""
        name = self._quote(role.name)
        for schema in map(self._quote, sorted({*self._schemas, *self._surplus.schemas(role.name)})):
            yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}"  # and in their columns
            yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {name}"
            yield f"REVOKE ALL ON SCHEMA {schema} FROM {name}"
        yield from self._surplus.revoked(role.name)
        for group, is_admin in self._memberships(role.name).items():
            if group not in role.groups:
                yield f"REVOKE {self._quote(group)} FROM {name}"
            elif is_admin:
                yield f"REVOKE ADMIN OPTION FOR {self._quote(group)} FROM {name}"

    def _granted(self, role: str, right: Right, place: tuple[str, str]) -> Iterator[str]:
        table = ".".join(map(self._quote, place))
        verbs = ", ".join(verb for verb in VERBS if verb in right.verbs)
        yield f"GRANT {verbs} ON TABLE {table} TO {role}"
        if "INSERT" in right.verbs:
            for schema, sequence in self._sequences(place):
                yield f"GRANT USAGE ON SEQUENCE {self._quote(schema)}.{self._quote(sequence)} TO {role}"

    def _place(self, right: Right) -> tuple[str, str]:
        """Return the schema and the name of a table or a view."""
        schema, _, name = right.table.rpartition(".")
        found = self._connection.execute(
            text(
                "SELECT 1 FROM pg_class AS found JOIN pg_namespace AS place ON place.oid = found.relnamespace "
                "WHERE place.nspname = :schema AND found.relname = :name AND found.relkind IN ('r', 'p', 'v', 'm')"
            ),
            {"schema": schema or self._default, "name": name},
        ).first()
        if found is None:
            raise ConfigurationError(
                f"{right.place}: expected a table of the database's schema {schema or self._default}, found none; "
                "make the tables first (`jobcron upgrade`, and the application's own)"
            )
        return schema or self._default, name

    def _sequences(self, place: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the sequences that belong to the columns of a table."""
        rows = self._connection.execute(
            text(
                "SELECT home.nspname, sequence.relname FROM pg_class AS sequence "
                "JOIN pg_namespace AS home ON home.oid = sequence.relnamespace "
                "JOIN pg_depend ON pg_depend.objid = sequence.oid AND deptype IN ('a', 'i') "
                "JOIN pg_class AS owner ON owner.oid = pg_depend.refobjid "
                "JOIN pg_namespace AS place ON place.oid = owner.relnamespace "
                "WHERE sequence.relkind = 'S' AND place.nspname = :schema AND owner.relname = :name"
            ),
            {"schema": place[0], "name": place[1]},
        )
        return [(row[0], row[1]) for row in rows]

    def _memberships(self, name: str) -> dict[str, bool]:
        """Return the groups that a role belongs to, and whether it may admit others to each."""
        rows = self._connection.execute(
            text(
                "SELECT owner.rolname, bool_or(admin_option) FROM pg_auth_members "
                "JOIN pg_roles AS owner ON owner.oid = pg_auth_members.roleid "
                "JOIN pg_roles AS member ON member.oid = pg_auth_members.member WHERE member.rolname = :name "
                "GROUP BY owner.rolname"
            ),
            {"name": name},
        )
        return {row[0]: row[1] for row in rows}
