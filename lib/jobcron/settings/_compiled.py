"""Keep the settings of an instance in a compiled form, which a tick reads in a millisecond."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from jobcron._version import __version__
from jobcron.errors import ConfigurationError
from jobcron.settings._syntax import EXTENDS, META, entries, extended
from jobcron.settings.directories import read_own, write_whole
from jobcron.settings.settings import INSTANCE, Channel, Schedule, Section, Settings
from jobcron.settings.trust import _is_ours, distrust

COMPILED_NAME = "compiled-settings.json"


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _state_dir_of(path: str) -> str | None:
    """Return the state directory that a file, or one that it extends, names; read no further than that key.

    Raises:
        OSError, ValueError, ConfigurationError: a file cannot be read.
    """
    current: str | None = path
    for _ in range(10):
        base = None
        if current is None:
            break
        for section, key, value, _line in entries(current, _read_text(current)):
            if (section, key) == (INSTANCE, "state_dir"):
                return os.path.normpath(os.path.join(os.path.dirname(current), value))
            if (section, key) == (META, EXTENDS):
                base = extended(current, value)
        current = base
    return None


def read_compiled(path: str) -> Settings | None:
    """Return the settings kept from an earlier run, or None if they cannot be trusted."""
    try:
        state_dir = _state_dir_of(path)
        content = _kept(state_dir) if state_dir is not None else None
        if content is None:
            return None
        if content["version"] != __version__ or path not in content["texts"]:
            return None
        if any(_read_text(p) != text for p, text in content["texts"].items()):
            return None
        if any(distrust(p) for p in content["texts"]):
            return None
        values = content["settings"]
        values["sections"] = {k: Section(**v) for k, v in values["sections"].items()}
        values["schedules"] = {k: Schedule(**v) for k, v in values["schedules"].items()}
        values["channels"] = {k: Channel(**v) for k, v in values["channels"].items()}
        settings = Settings(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigurationError):
        return None  # whatever is wrong, the full reading finds it and reports it
    return settings if settings.path == path and settings.state_dir == state_dir else None


def _kept(state_dir: str) -> Any:
    """Return the content kept in a state directory, or None if another user may have written it.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    if not _is_ours(os.stat(state_dir), 0o022):
        return None
    found = read_own(os.path.join(state_dir, COMPILED_NAME))
    return json.loads(found[0]) if found and _is_ours(found[1], 0o077) else None


def check_alone(settings: Settings) -> None:
    """Check that no other instance keeps its state in the same directory: their locks would be confused.

    An instance with the same database is the same one in another place, as for a new release of an application.

    Raises:
        ConfigurationError: another instance does.
    """
    try:
        kept = _kept(settings.state_dir)["settings"]
        other, url = kept["path"], kept["database_url"]
        is_there = other != settings.path and _state_dir_of(other) == settings.state_dir
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigurationError):
        return
    if is_there and url != settings.database_url:
        raise ConfigurationError(
            f"{settings.place('state_dir')}: expected a directory of this instance's own, "
            f"got {settings.state_dir}, which is also that of {other}, with another "
            f"database; if that one is not used any more, remove {os.path.join(settings.state_dir, COMPILED_NAME)}"
        )


def write_compiled(settings: Settings, texts: dict[str, str]) -> None:
    """Keep the settings for the next run; if they cannot be written, do nothing."""
    values: dict[str, object] = settings._asdict()
    values["sections"] = {k: v._asdict() for k, v in settings.sections.items()}
    values["schedules"] = {k: v._asdict() for k, v in settings.schedules.items()}
    values["channels"] = {k: v._asdict() for k, v in settings.channels.items()}
    content = {"version": __version__, "texts": texts, "settings": values}
    with suppress(OSError, ValueError):
        if _is_ours(os.stat(settings.state_dir), 0o022):
            path = os.path.join(settings.state_dir, COMPILED_NAME)
            write_whole(path, json.dumps(content).encode(), is_synced=False)
