"""Read a configuration with all its checks: text in, frozen `Settings` out (LP-29).

The schema, ``configs/schema.conf``, is a lazr.config schema: ``[jobcron]`` is the instance, and
``[job_schedule]`` stands for the sections of schedules, ``[job_channel]`` for those of channels, and
``[job_section]`` for every other. `_syntax`, which a
tick uses too, parses all of them.
"""

from __future__ import annotations

import os
import re
from functools import cache, partial
from typing import Any, NamedTuple

from jobcron.errors import ConfigurationError
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
)
from jobcron.settings.datatypes import CONVERTERS, Place
from jobcron.settings.schedule_keys import checked
from jobcron.settings.settings import INSTANCE, SCHEMA, Channel, Schedule, Section, Settings
from jobcron.settings.suggestions import suggestion
from jobcron.settings.trust import distrust

FUNCTIONS_SOURCE = "jobcron.functions.FunctionJob"

INHERIT = "inherit"
"""The default of keys of a section that [jobcron] has too: what it says there."""

_DATATYPE = re.compile(r"#\s*datatype:\s*(?P<type>\w+)\s*")


class Key(NamedTuple):
    """A key of the schema, with the type that the comment above it gives."""

    name: str
    datatype: str
    default: str


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


def read(path: str) -> tuple[Settings, dict[str, str]]:
    """Return the settings of a configuration file, and the texts that they were read from.

    Raises:
        ConfigurationError: something is wrong; the message names file, section, key, expected and found.
    """
    schema_text = _read_text(SCHEMA)
    schema = read_schema(schema_text)
    texts: dict[str, str] = {SCHEMA: schema_text}
    given: dict[tuple[str, str], Given] = {}
    for file, text, found in reversed(_chain(path, schema)):
        texts[file] = text
        given |= {(entry.section, entry.key): Given(entry.value, file) for entry in found}
    return _settings(path, schema, given), texts


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


def _chain(path: str, schema: Schema) -> list[tuple[str, str, list[Entry]]]:
    """Return path, text and content of a file and of those that it extends, the file itself first."""
    chain: list[tuple[str, str, list[Entry]]] = []
    current: str | None = path
    while current is not None:
        if any(current == file for file, _, _ in chain):
            raise ConfigurationError(f"{path}: section [{META}], key {EXTENDS}: {current} extends itself")
        text = _read_text(current)
        found = _checked(current, text, schema)
        chain.append((current, text, found))
        bases = [entry.value for entry in found if (entry.section, entry.key) == (META, EXTENDS)]
        current = extended(current, bases[0]) if bases else None
    return chain


def _checked(path: str, text: str, schema: Schema) -> list[Entry]:
    """Return the content of a file, once its keys are checked against the schema.

    Raises:
        ConfigurationError: it has unknown keys, or the syntax is wrong.
    """
    templates = (INSTANCE, TEMPLATE, SCHEDULE_TEMPLATE, CHANNEL_TEMPLATE)
    found = list(entries(path, text, {EXTENDS, *(key for name in templates for key in schema.get(name, {}))}))
    for section, key, _, line in found:
        template = _template_of(section)
        known = {EXTENDS} if section == META else schema.get(section, schema[template])
        if key and key not in known:
            meant = suggestion(f"[{section}]", [f"[{INSTANCE}]"]) if key in schema[INSTANCE] else ""
            raise ConfigurationError(
                f"{path}, line {line}: section [{section}]: unknown key {key}; "
                f"expected one of: {', '.join(sorted(known))}{meant or suggestion(key, known)}"
            )
    return found


def _template_of(section: str) -> str:
    if section.startswith(SCHEDULE):
        return SCHEDULE_TEMPLATE
    return CHANNEL_TEMPLATE if section.startswith(CHANNEL) else TEMPLATE


def _settings(path: str, schema: Schema, given: dict[tuple[str, str], Given]) -> Settings:
    def place(section: str, key: str) -> Place:
        return Place(given[section, key].path if (section, key) in given else path, section, key)

    def values(section: str, keys: dict[str, Key]) -> dict[str, Any]:  # of the types that the schema says
        read = {}
        for name, key in keys.items():
            text = given[section, name].text if (section, name) in given else key.default
            if text == key.default == INHERIT:
                read[name] = instance[name]
            else:
                is_set = text not in ("none", "")
                read[name] = CONVERTERS[key.datatype](text, place(section, name)) if is_set else None
        return read

    names = sorted({section for section, _ in given} - {INSTANCE, META})
    scheduled, limited, names = (
        [name for name in names if _template_of(name) == template]
        for template in (SCHEDULE_TEMPLATE, CHANNEL_TEMPLATE, TEMPLATE)
    )
    instance = values(INSTANCE, schema[INSTANCE])
    for key, example in (("database_url", "a URL"), ("state_dir", "a directory")):
        if instance[key] is None:
            raise Place(path, INSTANCE, key).refuse(example, "nothing")
    instance["lock_dir"] = instance["lock_dir"] or os.path.join(instance["state_dir"], "locks")
    instance["error_dir"] = instance["error_dir"] or os.path.join(instance["state_dir"], "oops")
    sections = {name: Section(name, **values(name, schema[TEMPLATE])) for name in names}
    for name, section in sections.items():
        places = {key: place(name, key) for key in schema[TEMPLATE]}
        check_lock(section, places)
        source = steps_source(section, places)
        sections[name] = section._replace(source_interface=functions_source(section, places, source))
    schedules = {}
    for full_name in scheduled:
        name = full_name.removeprefix(SCHEDULE)
        read_values = values(full_name, schema[SCHEDULE_TEMPLATE])
        if read_values["job"] is None:
            raise place(full_name, "job").refuse("a job type, a class or a function", "nothing")
        schedules[name] = checked(Schedule(name, **read_values), partial(place, full_name))
    limits = [Channel(name.removeprefix(CHANNEL), **values(name, schema[CHANNEL_TEMPLATE])) for name in limited]
    origin = str(place(INSTANCE, "database_url"))
    instance |= {"sections": sections, "schedules": schedules, "channels": {limit.name: limit for limit in limits}}
    return Settings(path=path, database_origin=origin, **instance)


def check_lock(section: Section, places: dict[str, Place]) -> None:
    """Check that a section's lock goes with its other keys.

    Raises:
        ConfigurationError: it does not.
    """
    for key in ("lock", "lock_lease"):
        if getattr(section, key) is None:
            raise places[key].refuse("host or cluster" if key == "lock" else "a time of 3s to 1h", "none")
    if section.is_alone_everywhere and section.dispatch is not None:
        raise places["lock"].refuse("host beside dispatch, whose receivers run many jobs at once", section.lock)


def steps_source(section: Section, places: dict[str, Place]) -> str | None:
    """Return a section's source; if it lists tasks or names a queue, that of such jobs (DBQ-01, DBQ-08).

    Args:
        section: as it was read.
        places: where its keys stand.

    Raises:
        ConfigurationError: its keys do not go together.
    """
    for key in ("creation_hook", "failure_hook", "pre_task_hook", "post_task_hook"):
        if getattr(section, key) is not None and section.tasks is None:
            raise places[key].refuse("the key tasks beside it", "none")
    for key in ("tasks", "queue"):
        if getattr(section, key) is not None and section.source_interface is not None:
            raise places[key].refuse("no source_interface beside it", section.source_interface)
    if section.tasks is not None:
        return f"jobcron.steps.sections.{section.name}"
    return section.source_interface if section.queue is None else f"jobcron.steps.queues.{section.queue}"


def functions_source(section: Section, places: dict[str, Place], source: str | None) -> str | None:
    """Return a section's source; that of jobs of functions if it lists functions.

    Args:
        section: as it was read.
        places: where its keys stand.
        source: the source according to the other keys.

    Raises:
        ConfigurationError: its keys do not go together.
    """
    if section.functions is None:
        return source
    if source not in (None, FUNCTIONS_SOURCE):
        keys = [key for key in ("tasks", "queue", "source_interface") if getattr(section, key) is not None]
        raise places["functions"].refuse(
            f"{FUNCTIONS_SOURCE} as source_interface, or none", f"{keys[0]} beside it"
        )
    return FUNCTIONS_SOURCE
