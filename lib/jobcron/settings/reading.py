"""Read a configuration with all its checks: text in, frozen `Settings` out (LP-29).

The schema, ``configs/schema.conf``, is a lazr.config schema: ``[jobcron]`` is the instance, and
``[job_schedule]`` stands for the sections of schedules, ``[job_channel]`` for those of channels, and
``[job_section]`` for every other. `_syntax`, which a tick uses too, parses all of them.
"""

from __future__ import annotations

import os
import re
from functools import cache, partial
from typing import Any, NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.settings._place import Mistakes
from jobcron.settings._syntax import (
    CHANNEL,
    CHANNEL_TEMPLATE,
    EXTENDS,
    META,
    SCHEDULE,
    SCHEDULE_TEMPLATE,
    TEMPLATE,
    Entry,
    entries,
    extended,
    raise_at_once,
)
from jobcron.settings.datatypes import CONVERTERS, Place
from jobcron.settings.keys_together import checked_schedule, checked_section
from jobcron.settings.settings import INSTANCE, SCHEMA, Channel, Schedule, Section, Settings
from jobcron.settings.suggestions import suggestion
from jobcron.settings.trust import distrust

INHERIT = "inherit"
"""The default of keys of a section that [jobcron] has too: what it says there."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from jobcron.settings._syntax import Report

_DATATYPE = re.compile(r"#\s*datatype:\s*(?P<type>\w+)\s*")


class Key(NamedTuple):
    """A key of the schema, with the type that the comment above it gives."""

    name: str
    datatype: str
    default: str


Values = dict[str, Any]


class Given(NamedTuple):
    """A value, and the file that sets it."""

    text: str
    path: str


Schema = dict[str, dict[str, Key]]


def read_schema(text: str) -> Schema:
    """Return the keys of each section of the schema, by section and name."""
    lines = text.split("\n")
    sections: Schema = {}
    for entry in entries(SCHEMA, text, reserved=()):
        keys = sections.setdefault(entry.section, {})
        if entry.key and (match := _DATATYPE.fullmatch(lines[entry.line - 2])):
            keys[entry.key] = Key(entry.key, match["type"], entry.value)
    return sections


@cache
def keys_of_schedules() -> dict[str, Key]:
    """Return the keys of a schedule, by name."""
    return read_schema(_read_text(SCHEMA))[SCHEDULE_TEMPLATE]


def mistakes_in(path: str) -> list[ConfigurationError]:
    """Return all mistakes of a configuration file and of those that it extends, without consequences of others."""
    found: list[ConfigurationError] = []
    try:
        read(path, found.append)
    except ConfigurationError as error:  # nothing more can be read
        found.append(error)
    return found


def read(path: str, report: Report = raise_at_once) -> tuple[Settings, dict[str, str]]:
    """Return the settings of a configuration file, and the texts that they were read from.

    Args:
        path: of the file.
        report: is called with each mistake. If it returns, the settings are of no use: what is wrong is missing.

    Raises:
        ConfigurationError: something is wrong; the message names file, section, key, expected and found.
    """
    schema_text = _read_text(SCHEMA)
    schema = read_schema(schema_text)
    texts: dict[str, str] = {SCHEMA: schema_text}
    given: dict[tuple[str, str], Given] = {}
    mistakes = Mistakes(report)
    for file, text, found in reversed(_chain(path, schema, mistakes)):
        texts[file] = text
        given |= {(entry.section, entry.key): Given(entry.value, file) for entry in found}
    return _settings(path, schema, given, mistakes), texts


def _read_text(path: str) -> str:
    try:
        if reason := distrust(path):
            raise ConfigurationError(f"{path}: {reason}")
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: expected text in UTF-8, got: {error}") from error
    except ValueError as error:  # a NUL in the path
        raise ConfigurationError(f"{path!r}: cannot be read: {error}") from error


def _chain(path: str, schema: Schema, mistakes: Mistakes) -> list[tuple[str, str, list[Entry]]]:
    """Return path, text and content of a file and of those that it extends, the file itself first."""
    chain: list[tuple[str, str, list[Entry]]] = []
    current: str | None = path
    while current is not None:
        if any(current == file for file, _, _ in chain):
            raise ConfigurationError(f"{path}: section [{META}], key {EXTENDS}: {current} extends itself")
        text = _read_text(current)
        found = _checked(current, text, schema, mistakes)
        chain.append((current, text, found))
        bases = [entry.value for entry in found if (entry.section, entry.key) == (META, EXTENDS)]
        current = extended(current, bases[0]) if bases else None
    return chain


def _checked(path: str, text: str, schema: Schema, mistakes: Mistakes) -> list[Entry]:
    """Return the content of a file, once its keys are checked against the schema.

    Raises:
        ConfigurationError: it has unknown keys, or the syntax is wrong.
    """
    templates = (INSTANCE, TEMPLATE, SCHEDULE_TEMPLATE, CHANNEL_TEMPLATE)
    keys = {EXTENDS, *(key for name in templates for key in schema.get(name, {}))}
    found = []
    for entry in entries(path, text, keys, report=mistakes.note_lost):
        section, key, _, line = entry
        template = _template_of(section)
        known = {EXTENDS} if section == META else schema.get(section, schema[template])
        if not key or key in known:
            found.append(entry)
            continue
        meant = suggestion(f"[{section}]", [f"[{INSTANCE}]"]) if key in schema[INSTANCE] else ""
        hint = meant or _home_of(key, schema) or suggestion(key, known)
        told = f"unknown key {key}; expected one of: {', '.join(sorted(known))}{hint}"
        mistakes.note(ConfigurationError(f"{path}, line {line}: section [{section}]: {told}"), section)
    return found


def _home_of(key: str, schema: Schema) -> str:
    """Return the end of a message that says which sections have a key; empty if none has it."""
    homes = {
        INSTANCE: f"[{INSTANCE}]",
        TEMPLATE: "sections of jobs",
        SCHEDULE_TEMPLATE: f"sections [{SCHEDULE}NAME]",
        CHANNEL_TEMPLATE: f"sections [{CHANNEL}NAME]",
    }
    having = [words for name, words in homes.items() if key in schema.get(name, {})]
    return f"; {key} is a key of {' and '.join(having)}" if having else ""


def _template_of(section: str) -> str:
    if section.startswith(SCHEDULE):
        return SCHEDULE_TEMPLATE
    return CHANNEL_TEMPLATE if section.startswith(CHANNEL) else TEMPLATE


def _settings(path: str, schema: Schema, given: dict[tuple[str, str], Given], mistakes: Mistakes) -> Settings:
    making = _Making(path, given, mistakes)
    names = sorted({section for section, _ in given} - {INSTANCE, META})
    scheduled, limited, names = (
        [name for name in names if _template_of(name) == template]
        for template in (SCHEDULE_TEMPLATE, CHANNEL_TEMPLATE, TEMPLATE)
    )
    instance = making.instance(schema[INSTANCE])
    sections = {name: making.section(name, schema[TEMPLATE]) for name in names}
    schedules = [making.schedule(name, schema[SCHEDULE_TEMPLATE]) for name in scheduled]
    limits = [
        Channel(name.removeprefix(CHANNEL), **making.values(name, schema[CHANNEL_TEMPLATE])) for name in limited
    ]
    instance |= {
        "sections": sections,
        "schedules": {schedule.name: schedule for schedule in schedules},
        "channels": {limit.name: limit for limit in limits},
    }
    return Settings(path=path, database_origin=str(making.place(INSTANCE, "database_url")), **instance)


class _Making:
    """Makes the settings of what was given.

    Args:
        path: the configuration file.
        given: the values, by section and key.
        mistakes: where what is wrong is told.
    """

    def __init__(self, path: str, given: dict[tuple[str, str], Given], mistakes: Mistakes) -> None:
        self._path = path
        self._given = given
        self._mistakes = mistakes
        self._inherited: Values = {}

    def place(self, section: str, key: str) -> Place:
        """Return where a value stands; if it is not given, where it could."""
        given = self._given.get((section, key))
        return Place(self._path if given is None else given.path, section, key)

    def values(self, section: str, keys: dict[str, Key]) -> Values:
        """Return the values of a section, of the types that the schema says."""
        read = {}
        for name, key in keys.items():
            text = self._given[section, name].text if (section, name) in self._given else key.default
            if text == key.default == INHERIT:
                read[name] = self._inherited[name]
                continue
            is_set = text not in ("none", "")
            try:
                read[name] = CONVERTERS[key.datatype](text, self.place(section, name)) if is_set else None
            except ConfigurationError as error:
                self._mistakes.note(error, section)
                read[name] = None
        return read

    def instance(self, keys: dict[str, Key]) -> Values:
        """Return the values of the instance."""
        found = self._inherited = self.values(INSTANCE, keys)
        is_excused = self._mistakes.excuse(INSTANCE)
        for key, example in (("database_url", "a URL"), ("state_dir", "a directory")):
            if found[key] is None and not is_excused:
                self._mistakes.note(Place(self._path, INSTANCE, key).refuse(example, "nothing"), INSTANCE)
        state = found["state_dir"] or ""
        found["lock_dir"] = found["lock_dir"] or os.path.join(state, "locks")
        found["error_dir"] = found["error_dir"] or os.path.join(state, "oops")
        return found

    def section(self, name: str, keys: dict[str, Key]) -> Section:
        """Return a section of jobs."""
        found = Section(name, **self.values(name, keys))
        if not self._mistakes.excuse(name):
            try:
                return checked_section(found, partial(self.place, name))
            except ConfigurationError as error:
                self._mistakes.note(error, name)
        return found

    def schedule(self, full_name: str, keys: dict[str, Key]) -> Schedule:
        """Return a schedule."""
        found = Schedule(full_name.removeprefix(SCHEDULE), **self.values(full_name, keys))
        if not self._mistakes.excuse(full_name):
            try:
                return checked_schedule(found, partial(self.place, full_name))
            except ConfigurationError as error:
                self._mistakes.note(error, full_name)
        return found
