"""Reading a configuration with all its checks: lazr.config in, frozen `Settings` out (LP-29).

lazr.config refuses sections that its schema lacks, so the schema is composed: ``[jobcron]`` as it stands in
``configs/schema.conf``, and ``[job_section]`` once for each section found. It lets other things pass in silence
(a key given twice, a key of an extended file), so every section and key is checked here as well.
"""

from __future__ import annotations

import os
import re
from io import StringIO
from typing import Any, NamedTuple

from lazr.config import ConfigSchema
from lazr.config.interfaces import ConfigErrors

from jobcron.errors import ConfigurationError
from jobcron.settings.datatypes import CONVERTERS, Place
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import SCHEMA, SECTION_NAME, Section, Settings
from jobcron.settings.trust import distrust

INSTANCE = "jobcron"
TEMPLATE = "job_section"
RESERVED = (TEMPLATE, "DEFAULT")
FUNCTIONS_SOURCE = "jobcron.functions.FunctionJob"

_SECTION_LINE = re.compile(r"^\[(?P<name>.*?)\]?\s*$")
_KEY_LINE = re.compile(r"^(?P<key>[^\s#;:=\[][^:=]*?)\s*[:=]\s*(?P<value>.*)$")
_INDENTED_KEY = re.compile(r"^\s+(?P<key>[^\s#;:=\[][^:=]*?)\s*[:=]")
_DATATYPE = re.compile(r"^#\s*datatype:\s*(?P<type>\w+)\s*$")


class Key(NamedTuple):
    """A key of the schema, with the type that its comment gives."""

    name: str
    datatype: str
    default: str


def read_schema(text: str) -> dict[str, dict[str, Key]]:
    """Return the keys of each section of the schema, by section and name."""
    sections: dict[str, dict[str, Key]] = {}
    current: dict[str, Key] = {}
    datatype = "string"
    for line in text.splitlines():
        if match := _SECTION_LINE.match(line):
            current = sections.setdefault(match["name"], {})
        elif match := _DATATYPE.match(line):
            datatype = match["type"]
        elif match := _KEY_LINE.match(line):
            current[match["key"]] = Key(match["key"], datatype, match["value"].strip())
    return sections


def read(path: str) -> tuple[Settings, dict[str, str]]:
    """Return the settings that a configuration file gives, and the texts that they follow from.

    Raises:
        ConfigurationError: something is wrong; the message names file, section, key, what was expected and found.
    """
    schema_text = _read_text(SCHEMA)
    schema = read_schema(schema_text)
    texts = _chain(path)
    origins: dict[tuple[str, str], str] = {}
    for file, text in reversed(texts.items()):
        for section, key in _check_names(file, text, schema):
            origins[section, key] = file
    names = sorted({section for section, _ in origins} - {INSTANCE, "meta"})
    values = _read_with_lazr(path, schema, schema_text, names)
    settings = _settings(path, schema, values, origins, names)
    return settings, {**texts, SCHEMA: schema_text}


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


def _chain(path: str) -> dict[str, str]:
    """Return the texts of a file and of those it extends, the file itself first."""
    texts: dict[str, str] = {}
    current: str | None = path
    while current is not None:
        if current in texts:
            raise ConfigurationError(f"{path}: section [meta], key extends: {current} extends itself")
        texts[current] = text = _read_text(current)
        base = re.search(r"^extends\s*[:=]\s*(.*?)\s*$", text, re.MULTILINE)
        if base and os.path.isabs(base[1]):  # lazr.config would look for it below the file's own folder
            raise Place(current, "meta", "extends").refuse("a path from this file's folder", base[1])
        current = base and os.path.normpath(os.path.join(os.path.dirname(current), base[1]))
    return texts


def _check_names(path: str, text: str, schema: dict[str, dict[str, Key]]) -> list[tuple[str, str]]:
    """Return the (section, key) pairs of a file, after checking each name."""
    found: dict[tuple[str, str], int] = {}
    section, after_key = "", False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("[") and (match := _SECTION_LINE.match(line)):
            section, after_key = match["name"] if line.rstrip().endswith("]") else "", False
            if not SECTION_NAME.fullmatch(section) or len(section) < 3 or section in RESERVED:
                raise ConfigurationError(
                    f"{path}, line {number}: expected a section's name of 3 to 64 letters, digits, _ and -, "
                    f"beginning with a letter, and none of {', '.join(RESERVED)}, got {line.strip()!r}"
                )
            found.setdefault((section, ""), number)
        elif match := _KEY_LINE.match(line):
            key = match["key"]
            known = {"extends"} if section == "meta" else set(schema.get(section, schema[TEMPLATE]))
            if section == "":
                raise ConfigurationError(f"{path}, line {number}: expected a section before the key {key}")
            if key not in known:
                raise ConfigurationError(
                    f"{path}, line {number}: section [{section}]: unknown key {key}; "
                    f"expected one of: {', '.join(sorted(known))}"
                )
            if (section, key) in found:
                raise ConfigurationError(
                    f"{path}, line {number}: section [{section}], key {key}: given twice, "
                    f"first in line {found[section, key]}"
                )
            found[section, key] = number
            after_key = True
        elif (match := _INDENTED_KEY.match(line)) and not after_key:
            raise ConfigurationError(
                f"{path}, line {number}: section [{section}]: expected a key at the beginning of the line, "
                f"got it indented: {match['key']}"
            )
    return list(found)


def _read_with_lazr(path: str, schema: dict[str, dict[str, Key]], schema_text: str, names: list[str]) -> Any:
    # The schema's comments hold colons and such, which are lazr.config's to parse: only keys go in.
    lines = [f"[{INSTANCE}]", *(f"{k.name}: {k.default}" for k in schema[INSTANCE].values())]
    for name in names:
        lines += [f"[{name}]", *(f"{k.name}: {k.default}" for k in schema[TEMPLATE].values())]
    try:
        config = ConfigSchema(SCHEMA, StringIO("\n".join(lines) + "\n")).load(path)
        config.validate()
    except ConfigErrors as error:
        # lazr.config wants ASCII, and reads the rest all the same.
        reasons = "; ".join(str(e) for e in error.errors if not isinstance(e, UnicodeEncodeError))
        if reasons:
            raise ConfigurationError(f"{path}: {reasons}") from error
    except Exception as error:  # lazr.config and configparser raise many kinds for broken syntax
        reason = Redactor().text(" ".join(str(error).split()))  # it may quote a line
        raise ConfigurationError(f"{path}: cannot be read as a configuration: {reason}") from error
    return config


def _settings(
    path: str,
    schema: dict[str, dict[str, Key]],
    config: Any,
    origins: dict[tuple[str, str], str],
    names: list[str],
) -> Settings:
    def values(section: str, keys: dict[str, Key]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key in keys.values():
            place = Place(origins.get((section, key.name), path), section, key.name)
            text = str(config[section][key.name]).strip()
            read[key.name] = None if text in ("none", "") else CONVERTERS[key.datatype](text, place)
        return read

    instance = values(INSTANCE, schema[INSTANCE])
    for key, example in (("database_url", "a URL"), ("state_dir", "a directory")):
        if instance[key] is None:
            raise Place(path, INSTANCE, key).refuse(example, "nothing")
    instance["lock_dir"] = instance["lock_dir"] or os.path.join(instance["state_dir"], "locks")
    instance["error_dir"] = instance["error_dir"] or os.path.join(instance["state_dir"], "oops")
    sections = {name: Section(name, **values(name, schema[TEMPLATE])) for name in names}
    for name, section in sections.items():
        places = {key: Place(origins.get((name, key), path), name, key) for key in schema[TEMPLATE]}
        source = steps_source(section, places)
        sections[name] = section._replace(source_interface=functions_source(section, places, source))
    place = f"{origins.get((INSTANCE, 'database_url'), path)}: section [{INSTANCE}], key database_url"
    return Settings(path=path, database_origin=place, sections=sections, **instance)


def steps_source(section: Section, places: dict[str, Place]) -> str | None:
    """Return the source of a section: where it lists tasks, or names a queue, that of such jobs (DBQ-01, DBQ-08).

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
    """Return the source of a section: where it lists functions, that of the jobs of functions.

    Args:
        section: as it was read.
        places: where its keys stand.
        source: what the other keys make of it.

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
