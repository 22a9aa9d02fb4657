"""The rights of each database role, as ``security.cfg`` files state them (LP-13)."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from jobcron.errors import ConfigurationError
from jobcron.reports.plurals import counted
from jobcron.settings.settings import PACKAGE, SECTION_NAME, Settings
from jobcron.settings.trust import distrust

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")

OWN_FILE = os.path.join(PACKAGE, "database", "schema", "security.cfg")

RUNNER = "jobcron_runner"
"""The group whose rights the role of every section needs."""

_TABLE = re.compile(r"[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?", re.ASCII)

_IS_ROLE = text("SELECT 1 FROM pg_roles WHERE rolname = :role")

_MAY = text("SELECT has_table_privilege(:role, CAST(to_regclass(:table) AS oid), :verb)")


class Right(NamedTuple):
    """The rights of a role on one table.

    Attributes:
        table: the table's name, with its schema unless that is the default one.
        verbs: some of `VERBS`.
        place: the file and section that state it, for messages.
    """

    table: str
    verbs: frozenset[str]
    place: str


class Role(NamedTuple):
    """A database role.

    Attributes:
        name: the role's name.
        may_log_in: whether it is a user.
        groups: the roles whose rights it has as well.
        rights: its own rights.
        place: the file and section that state it, for messages.
    """

    name: str
    may_log_in: bool
    groups: tuple[str, ...]
    rights: tuple[Right, ...]
    place: str


class Missing(NamedTuple):
    """What a role lacks, in words, and what gives it that."""

    text: str
    remedy: str


def roles_of(settings: Settings) -> dict[str, Role]:
    """Return jobcron's own roles and those of the instance's application, by name.

    Raises:
        ConfigurationError: a file cannot be read, or something in it is wrong.
    """
    return read_roles([OWN_FILE, *([settings.security_cfg] if settings.security_cfg else [])])


def read_roles(paths: list[str]) -> dict[str, Role]:
    """Return the roles of several files, by name.

    Raises:
        ConfigurationError: a file cannot be read, or something in it is wrong.
    """
    roles: dict[str, Role] = {}
    for path in paths:
        for role in _read(path):
            if role.name in roles:
                raise ConfigurationError(f"{role.place}: expected another name, {roles[role.name].place} has it")
            roles[role.name] = role
    for role in roles.values():
        for group in role.groups:
            if group not in roles or roles[group].may_log_in:
                known = ", ".join(sorted(name for name, other in roles.items() if not other.may_log_in))
                raise ConfigurationError(f"{role.place}, key groups: expected groups of {known}; got: {group}")
    _check_circles(roles)
    return roles


def rights_of(roles: dict[str, Role], name: str) -> dict[str, frozenset[str]]:
    """Return all rights of a role, by table, those of its groups included."""
    role = roles[name]
    found = {right.table: right.verbs for right in role.rights}
    for group in role.groups:
        for table, verbs in rights_of(roles, group).items():
            found[table] = found.get(table, frozenset()) | verbs
    return found


def _read(path: str) -> list[Role]:
    parser = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), default_section="", interpolation=None
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        if reason := distrust(path):
            raise ConfigurationError(f"{path}: {reason}")
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error
    return [_role(path, name, dict(parser[name])) for name in parser.sections()]


def _role(path: str, name: str, values: dict[str, str]) -> Role:
    place = f"{path}: section [{name}]"
    if not SECTION_NAME.fullmatch(name):
        raise ConfigurationError(f"{place}: expected a letter, then letters, digits, _ and -, 64 at most")
    kind = values.pop("type", "")
    if kind not in ("user", "group"):
        raise ConfigurationError(f"{place}, key type: expected user or group, got: {kind or 'nothing'}")
    groups = tuple(filter(None, (group.strip() for group in values.pop("groups", "").split(","))))
    return Role(name, kind == "user", groups, tuple(_right(place, *item) for item in values.items()), place)


def _right(place: str, table: str, text: str) -> Right:
    place = f"{place}, key {table}"
    if not _TABLE.fullmatch(table):
        raise ConfigurationError(f"{place}: expected the name of a table, or schema.table")
    verbs = {verb.strip().upper() for verb in text.split(",")}
    if not verbs <= {*VERBS}:
        raise ConfigurationError(f"{place}: expected some of {', '.join(VERBS)}, got: {text}")
    return Right(table, frozenset(verbs), place)


def _check_circles(roles: dict[str, Role]) -> None:
    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " in ".join((*above, name))
            raise ConfigurationError(f"{roles[name].place}, key groups: a group cannot be in itself: {circle}")
        for group in roles[name].groups:
            visit(group, (*above, name))

    for name in roles:
        visit(name, ())


def missing_rights(connection: Connection, roles: dict[str, Role], name: str) -> Iterator[Missing]:
    """Yield what the role of a section lacks: of what the files give it, and of what every runner needs.

    A role that no file names may have its rights by other means, so the database is asked, not the files.

    Args:
        connection: a connection to PostgreSQL; it is only read.
        roles: all roles of the instance, by name.
        name: the role's name.
    """
    is_runner = RUNNER in _groups_of(roles, name)
    remedy = "jobcron grant" if is_runner else _how_to_name(roles, name)
    if connection.execute(_IS_ROLE, {"role": name}).first() is None:
        yield Missing(f"the role {name} does not exist", remedy)
        return
    for verb, table in _refused(connection, name, _rights_of(roles, name)):
        yield Missing(f"the role {name} may not {verb} {table}", "jobcron grant")
    if is_runner:
        return
    needed = list(_refused(connection, name, _rights_of(roles, RUNNER)))
    if needed:
        whose = f"the role {name}" if name in roles else f"the role {name}, which no security.cfg names,"
        first = " ".join(needed[0])
        rights = f"{counted(len(needed), 'right')} that running jobs needs (those of {RUNNER})"
        yield Missing(f"{whose} lacks {rights}: {first}{' and more' if len(needed) > 1 else ''}", remedy)


def _how_to_name(roles: dict[str, Role], name: str) -> str:
    """Return what makes `jobcron grant` give a role the rights of a runner."""
    if name in roles:
        return f"groups = {RUNNER} in {roles[name].place}, then jobcron grant"
    section = f"a section [{name}] with type = user and groups = {RUNNER}"
    return f"{section} in the file that [jobcron] security_cfg names, then jobcron grant"


def _groups_of(roles: dict[str, Role], name: str) -> Iterator[str]:
    for group in roles[name].groups if name in roles else ():
        yield group
        yield from _groups_of(roles, group)


def _refused(connection: Connection, name: str, rights: Iterator[Right]) -> Iterator[tuple[str, str]]:
    """Yield those rights, as verb and table, that a role does not have in the database."""
    for right in rights:
        for verb in sorted(right.verbs):
            parameters = {"role": name, "table": right.table, "verb": verb}
            if connection.execute(_MAY, parameters).scalar() is False:
                yield verb, right.table


def _rights_of(roles: dict[str, Role], name: str) -> Iterator[Right]:
    role = roles.get(name)
    if role is not None:
        yield from role.rights
        for group in role.groups:
            yield from _rights_of(roles, group)
