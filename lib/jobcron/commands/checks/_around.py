"""What is around the configuration: who may read it, the directories that it names, and its mail."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from jobcron.commands._output import Finding
from jobcron.commands.checks._guarded import guarded
from jobcron.errors import DirectoryError
from jobcron.settings.directories import check_shared_directory, private_directory
from jobcron.settings.reading import read
from jobcron.settings.settings import Settings

SMTP_SECONDS = 5


def password_findings(settings: Settings) -> Iterator[Finding]:
    """Report the configuration's files that have a password but are readable by everybody."""
    for path, content in read(settings.path)[1].items():
        if os.stat(path).st_mode & stat.S_IROTH and any(secret in content for secret in settings.secrets()):
            yield Finding(f"{path}: everybody may read the password in it: chmod o= {path}", is_warning=True)


def directory_findings(settings: Settings) -> Iterator[Finding]:
    wanted = {getattr(settings, key): settings.place(key) for key in ("state_dir", "lock_dir", "error_dir")}
    for section in settings.sections.values():
        if section.error_dir:
            wanted.setdefault(section.error_dir, f"{settings.path}: section [{section.name}], key error_dir")
    if settings.mail and settings.mail.startswith("file:"):
        wanted.setdefault(settings.mail.removeprefix("file:"), settings.place("mail"))
    for path, place in wanted.items():
        yield from guarded(settings, partial(_directory, path=path, place=place))
    if settings.metrics_dir:
        check_shared_directory(settings.metrics_dir, f"{settings.place('metrics_dir')}: the directory")
        yield Finding(f"metrics_dir {settings.metrics_dir}")


def _directory(settings: Settings, path: str, place: str) -> Iterator[Finding]:
    key = place.rpartition(" ")[2]
    if os.path.isdir(path):
        private_directory(path, f"{place}: the directory")
        if os.stat(path).st_mode & 0o077:
            yield Finding(f"{place}: others may read what is in {path}: chmod go= {path}", is_warning=True)
        yield Finding(f"{key} {path}")
        return
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK | os.X_OK):
        raise DirectoryError(
            f"{place}: expected {path} to be a directory that can be made, {parent} cannot be written"
        )
    yield Finding(f"{key} {path}, which will be made")


def mail_findings(settings: Settings) -> Iterator[Finding]:
    if settings.mail is None:
        yield Finding("mail: none is sent", is_warning=True)
        return
    if not settings.failure_recipients:  # a section that says "none" means it
        names = [s.name for s in settings.sections.values() if not s.failure_recipients]
        if names or not settings.sections:
            yield Finding(
                f"{settings.place('failure_recipients')}: expected addresses, got none: of failed jobs of "
                f"{', '.join(names) or 'sections'} only those are told whom a job's class names",
                is_warning=True,
            )
    if settings.mail.startswith("smtp:"):
        url = urlsplit(settings.mail)
        address = (url.hostname or "", url.port or 25)
        try:
            socket.create_connection(address, SMTP_SECONDS).close()
        except (OSError, UnicodeError) as error:  # UnicodeError: not a possible name
            reason = getattr(error, "strerror", None) or error  # any object: not only the system's errors
            yield Finding(f"mail: {address[0]} port {address[1]} does not answer: {reason}", is_warning=True)
        else:
            yield Finding(f"mail: {address[0]} port {address[1]}")
