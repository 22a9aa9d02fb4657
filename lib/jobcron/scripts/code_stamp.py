"""Which job type the jobs of a source have, as the code of this machine says, without importing that code.

A run that has imported the application keeps the answer in the state directory, with a stamp of the code: its
files and their times, and the time of each folder of installed packages. While the stamp holds, the answer holds.
If anything has changed, the next run imports the application and writes both anew. The database cannot have the
answer: two releases may work on it at once.

With it are the names of the sections of which a full run has ended well since the code or the configuration
changed: so nothing is wrong with either. A section whose last full run failed, or goes on, is not among them.
"""

# why: decisions 2026-11-29, the tick asks what its own code says

from __future__ import annotations

import functools
import json
import os
import sys
import time
from contextlib import suppress
from typing import NamedTuple
from zlib import crc32

from jobcron._version import __version__
from jobcron.settings.directories import read_own, write_whole
from jobcron.settings.settings import PACKAGE, Settings

NAME = "code-stamp.json"

FORM = 2
"""The form of the file; one of another form is not read."""

MAX_SIZE = 1 << 24

COARSE_SECONDS = 0.01
"""How far the times of files may be behind the clock."""

Times = list[int]
"""Of a file or folder: when its content and its entry were last changed, in nanoseconds, and its size."""


class Stamp(NamedTuple):
    """What was noted of the code.

    Attributes:
        files: the files and folders on which the answer depends.
        types: the type names of sources, by each dotted name of the source.
        seen: the sections of which a full run has ended well, with the configuration as it was `configured`.
        configured: a number that is another one, nearly always, if the configuration is.
    """

    files: dict[str, Times]
    types: dict[str, str]
    seen: list[str]
    configured: int


NOTHING = Stamp({}, {}, [], 0)


def types_by_source(settings: Settings) -> dict[str, str]:
    """Return the type names of sources by their dotted names; empty if the code may have changed since.

    A source that finds its ready jobs itself is not among them.
    """
    return _valid_stamp(settings).types


def sections_seen(settings: Settings) -> list[str]:
    """Return the sections of which a full run has ended well since the code or the configuration changed."""
    stamp = _valid_stamp(settings)
    seen = stamp.seen if stamp.configured == _configured(settings) else []
    return [name for name in seen if not os.path.lexists(_begun(settings, name))]


def _valid_stamp(settings: Settings) -> Stamp:
    path = os.path.join(settings.state_dir, NAME)
    try:
        found = read_own(path, MAX_SIZE)
        if found is None or found[1].st_mode & 0o022:
            return NOTHING
        content = json.loads(found[0])
        types = {str(name): str(kind) for name, kind in content["types"].items()}
        seen = [str(name) for name in content["seen"]]
        stamp = Stamp(dict(content["files"]), types, seen, int(content["configured"]))
        if content["place"] != _place(settings):
            return NOTHING
        is_same = all(_times_of(file) == times for file, times in stamp.files.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return NOTHING  # whatever is wrong, the full path writes it anew
    return stamp if is_same else NOTHING


def note_types(settings: Settings, types: dict[str, str], started: float) -> None:
    """Keep the type names of sources, with the stamp of the code that this process has imported.

    What another run has noted of the same code stays: it may have imported more.
    Nothing is kept if a file has changed since the process started, as in the middle of a deployment: the process
    may have imported what was there before.

    Args:
        settings: the instance's.
        types: the type names, by each dotted name of a source.
        started: when the process started to import, in seconds by the monotonic clock.
    """
    oldest = time.time_ns() - int((time.monotonic() - started + COARSE_SECONDS) * 1e9)
    files: dict[str, Times] = {}
    for file in [*_installed(), *_imported()]:
        with suppress(OSError):  # in an archive, or gone
            files[file] = _times_of(file)
            if max(files[file][:2]) > oldest and not os.path.isdir(file):
                return
    known, configured = _valid_stamp(settings), _configured(settings)
    seen = known.seen if known.configured == configured else []
    stamp = Stamp({**known.files, **files}, {**known.types, **types}, seen, configured)
    if stamp != known:
        _write(settings, stamp)


def note_begin(settings: Settings, section: str) -> None:
    """Note that a full run of a section begins: until one has ended well, no row may say that nothing is wrong.

    Args:
        settings: the instance's, of this process.
        section: its name.
    """
    # A file for each section: runs that begin at once must not overwrite what others note.
    with suppress(OSError):
        write_whole(_begun(settings, section), b"", is_synced=False)


def note_section(settings: Settings, section: str) -> None:
    """Note that a full run of a section has ended well, if the code is still what the stamp says.

    Args:
        settings: the instance's, of this process.
        section: its name.
    """
    with suppress(OSError):
        os.unlink(_begun(settings, section))
    known = _valid_stamp(settings)
    if known.configured == _configured(settings) and section not in known.seen:
        _write(settings, known._replace(seen=sorted({*known.seen, section})))


def _write(settings: Settings, stamp: Stamp) -> None:
    content = {"place": _place(settings), **stamp._asdict()}
    with suppress(OSError, ValueError):
        write_whole(os.path.join(settings.state_dir, NAME), json.dumps(content).encode(), is_synced=False)


def _begun(settings: Settings, section: str) -> str:
    return os.path.join(settings.state_dir, f"{section}.begun")


def _place(settings: Settings) -> list[object]:
    """Return where the code of the instance is looked for."""
    python = [sys.prefix, PACKAGE, os.environ.get("PYTHONPATH")]
    # Schedules and channels are stored by a run that imports the application; the next one, if they
    # have changed.
    stored = [[list(row) for row in rows.values()] for rows in (settings.schedules, settings.channels)]
    named = [settings.application, settings.job_packages, settings.python_path]
    return [FORM, __version__, *python, settings.path, *named, *stored]


def _configured(settings: Settings) -> int:
    return crc32(repr(settings).encode())


def _times_of(path: str) -> Times:
    status = os.stat(path)
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size]


def _installed() -> list[str]:
    """Return the folders of installed packages: installing one, or another version, changes the folder's time."""
    return [folder for folder in sys.path if _is_of_packages(folder)]


def _is_of_packages(path: str) -> bool:
    return os.path.basename(path) in ("site-packages", "dist-packages")


def _imported() -> list[str]:
    """Return the files of this process's modules, without those of Python, of installed packages, and ours."""
    files = [vars(module).get("__file__") for module in list(sys.modules.values()) if module is not None]
    return sorted({path for file in files if isinstance(file, str) and (path := _of_application(file))})


@functools.cache
def _of_application(file: str) -> str | None:
    """Return the path of a module's file if it is neither Python's, an installed package's, nor ours."""
    if file.startswith((os.path.dirname(os.__file__) + os.sep, PACKAGE + os.sep)):
        return None
    path = os.path.abspath(file)
    return None if {"site-packages", "dist-packages"} & {*path.split(os.sep)} else path
