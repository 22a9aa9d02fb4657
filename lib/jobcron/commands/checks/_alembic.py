"""Check that an older Alembic leaves jobcron's tables alone: newer ones find a plugin that does it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from configparser import ConfigParser, Error
from importlib.metadata import version
from pathlib import Path

from jobcron.commands._output import Finding
from jobcron.settings.settings import Settings

WITH_PLUGINS = (1, 18)
"""The first version of Alembic that loads plugins."""

OPTIONS = ("include_object", "render_item")
"""What ``context.configure`` needs to be told before that version."""


def alembic_findings(settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each ``env.py`` of the application that would drop jobcron's tables.

    It is where ``alembic.ini`` says, which is looked for in the current directory, beside the configuration and
    above it, and in the directories of ``python_path``.
    """
    installed = version("alembic")
    if tuple(map(int, re.findall(r"\d+", installed)[:2])) >= WITH_PLUGINS:
        return
    folder = os.path.dirname(settings.path)
    places = [os.getcwd(), folder, os.path.dirname(folder), *(settings.python_path or ())]
    for place in dict.fromkeys(map(os.path.realpath, places)):
        for script in _scripts_of(Path(place)):
            text = script.read_text(encoding="utf-8", errors="replace") if script.is_file() else ""
            missing = [option for option in OPTIONS if text and option not in text]
            if missing:
                yield Finding(
                    f"{script}: expected {' and '.join(missing)} in context.configure: Alembic {installed} has no "
                    "plugins, and would drop jobcron's tables; docs/how-to/alembic.md has the lines",
                    is_warning=True,
                )


def _scripts_of(folder: Path) -> Iterator[Path]:
    """Yield the ``env.py`` of each section of a folder's ``alembic.ini``."""
    parser = ConfigParser(defaults={"here": str(folder)})
    try:
        parser.read(folder / "alembic.ini", encoding="utf-8")
        locations = [parser.get(name, "script_location", fallback="") for name in parser.sections()]
    except (Error, UnicodeDecodeError):  # Alembic itself says what is wrong with it
        return
    for location in filter(None, locations):
        yield folder / location / "env.py"
