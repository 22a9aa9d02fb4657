"""Generate the parts of the reference that follow from the code, as Markdown, so that they cannot be wrong.

A page marks the place of a part by ``<!-- generated: NAME -->``; ``conf.py`` inserts the text while Sphinx reads
the page, in place of a line that tells readers of the file where to look. If the code has something that is not
explained here, generating its part fails, and so does the build.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from generate_commands import commands, shapes
from generate_features import features
from generate_moves import events, matrix, moves, statuses
from generate_text import plain, same, subclasses, table
from sqlalchemy.orm import DeclarativeBase
from zope.interface import Interface
from zope.interface.interface import InterfaceClass, Method

import jobcron
from jobcron import errors, interfaces, testing
from jobcron.interfaces import JobStatus
from jobcron.jobs.arguments import encoding, json_data
from jobcron.jobs.arguments._scalars import READERS
from jobcron.jobs.draft import JOB_VALUES
from jobcron.settings._syntax import CHANNEL_TEMPLATE, SCHEDULE_TEMPLATE, TEMPLATE
from jobcron.settings.datatypes import CONVERTERS
from jobcron.settings.reading import Key, read_schema
from jobcron.settings.settings import INSTANCE, SCHEMA

_MARK = re.compile(r"^<!-- generated: (\w+) -->\n_Made from the code .*_$", re.MULTILINE)


def fill(text: str) -> str:
    """Return the text of a page with its generated parts."""
    return _MARK.sub(lambda mark: PARTS[mark[1]](), text)


# Configuration

DATATYPES = {
    "string": "text",
    "name": "a name: a letter, then letters, digits, `_` and `-`, 64 at most",
    "dotted_name": "a dotted name such as `package.module.Name`",
    "dotted_names": "dotted names such as `package.module.name`, separated by spaces",
    "names_and_durations": "names, each followed by a duration such as `2d`, or `none`, separated by spaces",
    "dotted_name_and_callable": "a module, or `module:callable`",
    "callable": "`module:callable`",
    "dispatcher": "`celery`, or `module:callable`",
    "broker": "URLs of a broker such as `amqp://user@host/vhost` or `redis://host/0`, separated by `;`",
    "directory": "a directory; a relative path starts at the directory of the configuration file",
    "directories": "directories, separated by spaces",
    "patterns": "patterns of paths, separated by spaces; a relative one starts at the directory of the "
    "configuration file",
    "url": "a URL, or `module:name`",
    "mail": "`none`, `file:DIRECTORY` or `smtp://…`",
    "addresses": "addresses, separated by spaces",
    "file_or_url": "a path, or a `file:`, `http:` or `https:` URL; a relative path starts at the directory of the "
    "configuration file",
    "ping_url": "an `http:` or `https:` URL",
    "duration": "a duration such as `30s`, `10m`, `1h30m` or `2d`",
    "interval": "a duration longer than 0, such as `30s` or `10m`",
    "count": "a whole number, at least 1",
    "lock": "`host` or `cluster`",
    "lock_lease": "a duration from `6s` to `1h`",
    "boolean": "`true` or `false`",
    "transactions": "`sqlalchemy` or `zope`",
    "cron_schedule": "five fields as in a crontab, or `@hourly`, `@daily` and the like",
    "cron_expression": "five fields as in a crontab, or `@hourly`, `@daily` and the like",
    "every": "a duration of whole seconds, at least `1m`",
    "time_zone": "a time zone such as `Europe/Berlin`",
    "json_object": 'a JSON object such as `{"copies": 2}`',
    "job": "a job type, or the dotted name of a class or a function",
    "missed": "`once`, `skip` or `all`",
    "overlap": "`skip`, `wait` or `allow`",
    "channel": "the name of a channel such as `root.export`",
    "capacity": "a whole number, at least 0",
    "throttle": "a number of starts and a period, such as `10/1m`",
    "sequential": "`channel` or `target`",
    "two_durations": "two durations, for warning and critical, such as `30m 2h`",
    "two_counts": "two numbers, for warning and critical, such as `10 100`",
    "silence": "`auto`, or two durations, for warning and critical",
    "file": "a path; a relative path starts at the directory of the configuration file",
    "publishers": "`files`, `datedir` and `module:callable`, separated by spaces",
    "level": "`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL` or `none`",
}


def comments_of(schema: str) -> dict[tuple[str, str], str]:
    """Return the comment of each key of the schema; a key without one shares that of the key before it."""
    found: dict[tuple[str, str], str] = {}
    section, comment, last = "", "", ""
    for line in schema.splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            section, comment = head[1], ""
        elif line.startswith("#") and not line.startswith("# datatype:"):
            comment = f"{comment} {line[1:].strip()}".strip()
        elif key := re.match(r"(\w+):", line):
            last = found[section, key[1]] = comment or last
            comment = ""
    return found


def configuration() -> str:
    """Return all keys of a configuration, with their meaning, type and default."""
    same("data types", set(CONVERTERS), set(DATATYPES))
    text = Path(SCHEMA).read_text(encoding="utf-8")
    keys, comments = read_schema(text), comments_of(text)
    heads = {
        INSTANCE: "The section `[jobcron]`: the instance",
        TEMPLATE: "A section of jobs",
        SCHEDULE_TEMPLATE: "A schedule: a section `[schedule:NAME]`",
        CHANNEL_TEMPLATE: "The limits of a channel: a section `[channel:NAME]`",
    }
    same("sections", set(keys), set(heads))
    parts = []
    for section, head in heads.items():
        parts.append(f"## {head}\n")
        parts += [_key(key, comments[section, key.name]) for key in keys[section].values()]
    return "\n".join(parts)


def _key(key: Key, comment: str) -> str:
    default = "" if key.default == "none" else f" Default: `{key.default}`."
    comment = re.sub(r"\"(\S+)\"", r"`\1`", comment)
    comment = re.sub(r"(?<!`)\b([\w+]+:/{2,}\S*[\w\]])", r"`\1`", comment)
    comment = re.sub(r"(?<![`\w/])([A-Za-z]+_\w+|PYTHONPATH)\b(?!`)", r"`\1`", comment)
    return f"### `{key.name}`\n\n{comment}\n\nType: {DATATYPES[key.datatype]}.{default}\n"


# Interfaces


def interface_parts() -> str:
    """Return every interface: its attributes and its methods."""
    found = [thing for thing in vars(interfaces).values() if isinstance(thing, InterfaceClass)]
    return "\n".join(_interface(interface) for interface in found if interface is not Interface)


def _interface(interface: Any) -> str:
    items = [interface[name] for name in interface.names()]
    attributes = [item for item in items if not isinstance(item, Method)]
    parts = [f"## {interface.getName()}\n", *(f"{plain(part)}\n" for part in interface.getDoc().split("\n\n"))]
    if attributes:
        rows = [[f"`{item.getName()}`", _title(item), _manner(item)] for item in attributes]
        parts.append(table(["attribute", "meaning", ""], rows))
    for item in items:
        if isinstance(item, Method):
            parts.append(_method(item))
    return "\n".join(parts)


def _method(item: Any) -> str:
    return f"`{item.getName()}{item.getSignatureString()}`\n: {plain(item.getDoc())}\n"


def _title(item: Any) -> str:
    return plain(getattr(item, "title", None) or item.getDoc() or item.getName())


def _manner(item: Any) -> str:
    words = ["read-only"] if getattr(item, "readonly", False) else []
    if not getattr(item, "required", True):
        words.append("may be None")
    return ", ".join(words)


# Exit statuses

STATUSES = {
    0: "The run did its work, or there was none. Also if jobs failed: their rows and reports show that.",
    1: "The run could not do its work: the database, the tables, a directory, a crash. With "
    "`--fail-on-job-failure`, also if a job did not complete.",
    2: "The command line or the configuration is wrong.",
    3: "Another run of the same section is in progress.",
}


def exit_statuses() -> str:
    """Return the exit statuses, and the errors that lead to them."""
    found: list[type[errors.JobcronError]] = [errors.JobcronError, *subclasses(errors.JobcronError)]
    same("exit statuses", {error.exit_status for error in found} | {0}, set(STATUSES))
    mistakes = [error for error in subclasses(errors.UserMistake) if error.__module__ == errors.__name__]
    rows = []
    for status, meaning in STATUSES.items():
        names = [f"`{error.__name__}`" for error in mistakes if error.exit_status == status]
        rows.append([str(status), meaning, ", ".join(names)])
    return table(["status", "meaning", "errors that end with it"], rows)


def error_classes() -> str:
    """Return all errors, with the class that each belongs to."""
    rows = []
    for error in vars(errors).values():
        if isinstance(error, type) and error.__module__ == errors.__name__:
            first = (error.__doc__ or "").split("\n\n")[0]
            rows.append([f"`{error.__name__}`", f"`{error.__mro__[1].__name__}`", plain(first)])
    return table(["error", "is a", "meaning"], rows)


# Arguments

JOB_VALUE_TEXTS = {
    "scheduled_start": "the job does not start before this time",
    "expires_at": "the job does not start after this time",
    "priority": "lowest first; 10 by default",
    "max_retries": "how many retries are allowed; None for ever; 0 by default",
    "requester": "who asked for the job",
    "description": "what the job is about, for people",
    "unique_key": "of several jobs of a type with the same key, only one can be waiting",
    "queue_name": "the name of a queue, for your own use",
    "channel": "the channel in which the job runs, such as `root.export`; by default its class's",
    "channel_key": "what the channel's `per_key` counts the job for, by default its target",
    "json_data": "the same as `metadata`: a dict of plain JSON, and tuples",
}

MAPPED = [["a mapped object", '`{"$object": ["shop.model.Order", [1]]}`']]

EXAMPLES: dict[str, Any] = {
    "datetime": datetime(2026, 11, 22, 8, 30, tzinfo=UTC),
    "datetime of a ZoneInfo": datetime(2026, 11, 22, 9, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    "date": date(2026, 11, 22),
    "Decimal": Decimal("9.90"),
    "UUID": UUID(int=0),
    "bytes": b"bytes",
    "tuple": (1, 2),
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "an item of an enum": JobStatus.WAITING,
    "several flags": re.RegexFlag.IGNORECASE | re.RegexFlag.MULTILINE,
    "a dict with other keys than text": {1: "one"},
}


def job_values() -> str:
    """Return the values of the shared row that can be given to a new job."""
    same("values of jobs", set(JOB_VALUES), set(JOB_VALUE_TEXTS))
    return table(["name", "meaning"], [[f"`{name}`", text] for name, text in JOB_VALUE_TEXTS.items()])


def encodings() -> str:
    """Return how values that JSON lacks are written, each by an example that is encoded here."""
    encoded = {name: encoding.encode(value, name) for name, value in EXAMPLES.items()}
    shown = {mark for value in encoded.values() for mark in cast("dict[str, object]", value)}
    same("encodings", set(re.findall(r'``\{"(\$\w+)"', encoding.__doc__ or "")), shown | {"$object"})
    same("encodings that are read", {*READERS, *encoding._MAKERS}, shown - {"$enum", "$flag"})
    rows = [[name, f"`{json.dumps(value)}`"] for name, value in encoded.items()]
    return table(["type", "written as"], rows + MAPPED)


def limits() -> str:
    """Return how large a job's data may be."""
    size, levels = json_data.MAX_BYTES, json_data.MAX_LEVELS
    return f"A job's data may have up to {size:,} bytes as JSON, and {levels} levels.\n"


# Public names

GROUPS = {
    "Jobs and their families": ("jobs.runnable", "jobs.family", "jobs.job", "jobs.source", "database.version"),
    "Interfaces": ("interfaces",),
    "Running": (
        "scripts.cron_script",
        "scripts.job_script",
        "scripts.prune",
        "runner.job_runner",
        "runner.isolated.runner",
        "reports.alarm",
        "reports.metric_events",
        "database.database",
        "database.sessions",
        "database.transactions",
        "settings.instance",
    ),
    "Graphs": ("jobs.graphs.elements",),
    "Schedules": ("schedules.definitions",),
    "Mail and reports": ("database.after_commit", "reports.mail", "reports.oops"),
    "Errors": ("errors",),
}


ON_A_PAGE_OF_THEIR_OWN = ("IJob", "IJobRunner", "IJobSource", "IRunnableJob")

INTERNAL = (
    "context_class",
    "declared",
    "delegated_names",
    "family_names",
    "finds_ready_jobs_itself",
    "has_family",
    "has_fields",
    "job_defaults",
    "load",
    "reserved_names",
)
"""Attributes of job classes that the runner uses, and nobody else needs."""


def public_names() -> str:
    """Return directives that show every public name of the package."""
    homes: dict[str, tuple[str, ...]] = jobcron._HOMES
    same("modules with public names", set(homes), {module for modules in GROUPS.values() for module in modules})
    parts = []
    for head, modules in GROUPS.items():
        names = [name for module in modules for name in homes[module] if name not in ON_A_PAGE_OF_THEIR_OWN]
        parts += [f"## {head}\n", *(_directive("jobcron", name, getattr(jobcron, name)) for name in names)]
    parts += ["## jobcron.testing\n"]
    parts += [_directive("jobcron.testing", name, getattr(testing, name)) for name in testing.__all__]
    return "\n".join(parts)


def _directive(module: str, name: str, thing: Any) -> str:
    kind, options = "data", ""
    if isinstance(thing, type):
        is_error = issubclass(thing, BaseException)
        members = "\n   :members:\n   :inherited-members: object, Enum, int, Logger, Filterer"
        if issubclass(thing, DeclarativeBase):
            members += "\n   :exclude-members: metadata, registry, type_annotation_map"
        members += f"\n   :exclude-members: {', '.join(INTERNAL)}" if name == "BaseRunnableJob" else ""
        kind, options = ("exception", "") if is_error else ("class", members)
    elif callable(thing):
        kind = "function"
    return f"```{{eval-rst}}\n.. auto{kind}:: {module}.{name}{options}\n```\n"


PARTS: dict[str, Callable[[], str]] = {
    "configuration": configuration,
    "interfaces": interface_parts,
    "exit_statuses": exit_statuses,
    "error_classes": error_classes,
    "statuses": statuses,
    "moves": moves,
    "matrix": matrix,
    "events": events,
    "job_values": job_values,
    "encodings": encodings,
    "limits": limits,
    "public_names": public_names,
    "commands": commands,
    "json_shapes": shapes,
    "features": features,
}
"""What may stand in a mark."""
