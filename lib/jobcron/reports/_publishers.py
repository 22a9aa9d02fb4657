"""Publish OOPS reports: to our files, to python-oops' date directory, or as the configuration says (LP-25).

Our own publisher keeps causes, never merges two reports, and writes files that people and ``jq`` can read:
``error_dir/YYYY-MM-DD/OOPS-…``, JSON, one report each. It also writes the date directory: oops-datedir-repo
names a file by its content, so that the id on a job's row would lead to no file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from jobcron.errors import ConfigurationError
from jobcron.reports import bson
from jobcron.settings.directories import private_directory, write_whole
from jobcron.settings.named import find_named
from jobcron.settings.secrets import storable
from jobcron.settings.settings import Settings

Publisher = Callable[[dict[str, object]], list[str]]


class DateDirectory:
    """A publisher that writes each report to a separate file, in a folder per day.

    Args:
        root: the folder of all reports; created if necessary, for this user alone.
        what: what the folder is, for messages.
        encode: returns the content of a report's file; None: JSON.
    """

    def __init__(
        self,
        root: str | Path,
        what: str = "the OOPS directory",
        encode: Callable[[dict[str, object]], bytes] | None = None,
    ) -> None:
        self.root = Path(root)
        self.what = what
        self.encode = encode or _as_json

    def __call__(self, report: dict[str, object]) -> list[str]:
        """Write a report; do not replace one with the same id.

        Raises:
            OSError, DirectoryError: it could not be written.
            TypeError: a hook of the application has replaced its time by something else.
        """
        oops_id, day = str(report["id"]), _time_of(report).strftime("%Y-%m-%d")
        private_directory(self.root, self.what)
        folder = self.root / day
        private_directory(folder, self.what)
        # why: decisions 2026-11-25, the date directory of python-oops
        write_whole(folder / oops_id, self.encode(report), replaces=False)
        return [oops_id]


def _time_of(report: dict[str, object]) -> datetime:
    time = report["time"]
    if not isinstance(time, datetime):
        raise TypeError(f"expected the time of the report {report['id']} to be a datetime, got {time!r}")
    return time


def _as_json(report: dict[str, object]) -> bytes:
    """Return the report as JSON, its traceback as a list of lines: text in JSON cannot have line breaks."""
    shown = dict(report)
    shown["time"] = _time_of(report).isoformat()
    shown["tb_text"] = str(report.get("tb_text", "")).splitlines()
    return storable(json.dumps(shown, indent=2, ensure_ascii=False, default=str) + "\n").encode()


class Publishers:
    """The publishers of an instance: each receives every report.

    Args:
        names: ``files``, ``datedir``, or ``module:callable``.
        root: the folder of reports in files.
        what: what the folder is, for messages.
        place: where the names stand, for messages.
    """

    def __init__(self, names: list[str], root: str, what: str, place: str) -> None:
        self._names, self._root, self._what, self._place = names, root, what, place
        self._found: list[Publisher] | None = None

    def check(self) -> list[Publisher]:
        """Return the publishers; they are looked up only now, when the application's folders are known.

        Raises:
            ConfigurationError: one does not exist.
        """
        if self._found is None:
            self._found = [self._find(name) for name in self._names]
        return self._found

    def __call__(self, report: dict[str, object]) -> list[str]:
        """Pass a report to every publisher; log one that fails if another accepted the report.

        Raises:
            Exception: no publisher accepted it.
        """
        ids: list[str] = []
        failures: list[tuple[str, Exception]] = []
        for name, publisher in zip(self._names, self.check(), strict=True):
            try:
                ids += publisher(dict(report)) or []
            except Exception as error:
                failures.append((name, error))
        if failures and not ids:
            raise failures[0][1]
        for name, failure in failures:
            # The report is published: the failure of one publisher is not worth a second report.
            logging.getLogger().error(
                "The OOPS %s was not published by %s: %s: %s",
                report["id"],
                name,
                type(failure).__name__,
                failure,
                extra={"oops_id": report["id"]},
            )
        return ids

    def _find(self, name: str) -> Publisher:
        if name == "files":
            return DateDirectory(self._root, self._what)
        if name == "datedir":
            try:
                bson.bson_library()
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._place}: {error}") from error
            return DateDirectory(self._root, self._what, bson.encode)
        publisher: Publisher = find_named(name, self._place)
        return publisher


def publishers_of(settings: Settings, root: str, what: str) -> Publishers:
    """Return the publishers of an instance.

    Args:
        settings: the instance's.
        root: the folder of reports in files.
        what: what the folder is, for messages.
    """
    return Publishers(settings.oops_publishers, root, what, settings.place("oops_publishers"))
