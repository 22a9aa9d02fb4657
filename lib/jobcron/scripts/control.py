"""The control file: switches scripts off without touching crontab (LP-28).

It fails open: a problem with the file is logged as an error, and switches nothing off.
"""

from __future__ import annotations

import configparser
import os
import stat
from typing import NamedTuple

from jobcron.settings.secrets import HIDDEN
from jobcron.settings.trust import distrust

FETCH_SECONDS = 5.0
"""Seconds within which an answer must be complete, including all redirections."""

MAX_SIZE = 1 << 20
DEFAULT, KEY = "DEFAULT", "enabled"

NOTHING_OFF = "; nothing is turned off by it"


class Verdict(NamedTuple):
    """The control file's answer for one script.

    Attributes:
        is_enabled: whether the script may run.
        reason: the reason, in one line.
        is_problem: whether the reason is an error; the script may run then, unless ``[DEFAULT]`` switches it off.
    """

    is_enabled: bool
    reason: str
    is_problem: bool = False


class Problem(Exception):
    """The control file cannot be used; the message says why."""


# why: decisions 2026-11-24, the control file fails open
class Control:
    """A control file, read once.

    Args:
        where: its absolute path, or an http: or https: URL.

    Attributes:
        where: the same for messages, because the query of a URL may hold a token.
    """

    def __init__(self, where: str) -> None:
        self.where, _, self._query = where.partition("?") if "://" in where else (where, "", "")
        self._parser = configparser.ConfigParser(interpolation=None, default_section="")  # no inheritance
        self._without: Verdict | None = None
        try:
            self._parser.read_string(_text(where))
        except FileNotFoundError:
            self._without = Verdict(True, f"Enabled: there is no control file {self.where}")
        except OSError as error:
            self._without = self._failed(f"cannot be read: {error.strerror or error}")
        except Problem as error:
            self._without = self._failed(str(error))
        except UnicodeDecodeError as error:
            self._without = self._failed(f"expected text in UTF-8, got: {error}")
        except configparser.Error as error:
            self._without = self._failed(f"cannot be read as an INI file: {' '.join(str(error).split())}")

    @property
    def names(self) -> list[str]:
        """The names of the scripts and sections that the file speaks of, `DEFAULT` included."""
        return self._parser.sections()

    @property
    def is_missing(self) -> bool:
        """Whether there is no such file: everything is enabled."""
        return self._without is not None and not self._without.is_problem

    def ask(self, name: str) -> Verdict:
        """Return the verdict on the script or section `name`; its own section overrides ``[DEFAULT]``."""
        if self._without is not None:
            return self._without
        own, general = self._of(name), self._of(DEFAULT)
        if own is not None and own.is_problem and general is not None and not general.is_enabled:
            # A typo in one section turns nothing on that the other turns off.
            reason = own.reason.removesuffix(NOTHING_OFF)
            return Verdict(False, f"{reason}; {general.reason[0].lower()}{general.reason[1:]}", True)
        return own or general or Verdict(True, f"Enabled: {self.where} does not say otherwise")

    def _of(self, section: str) -> Verdict | None:
        """Return what one section says; None: nothing."""
        keys = self._parser[section] if self._parser.has_section(section) else {}
        for unknown in sorted(set(keys) - {KEY}):
            return self._failed(f"section [{section}]: unknown key {unknown}; expected one of: {KEY}")
        return self._verdict(section, keys[KEY]) if KEY in keys else None

    def _verdict(self, section: str, text: str) -> Verdict:
        enabled = configparser.ConfigParser.BOOLEAN_STATES.get(text.lower())
        if enabled is None:
            return self._failed(f"section [{section}], key {KEY}: expected true or false, got: {text!r}")
        return Verdict(enabled, f"{'Enabled' if enabled else 'Disabled'} by section [{section}] of {self.where}")

    def _failed(self, reason: str) -> Verdict:
        if self._query:
            reason = reason.replace(f"?{self._query}", f"?{HIDDEN}")
        return Verdict(True, f"The control file {self.where}: {reason}{NOTHING_OFF}", True)


def _text(where: str) -> str:
    if where.startswith(("http:", "https:")):
        return _fetched(where).decode()
    # O_NONBLOCK: a pipe without a writer is an error, not an endless wait.
    descriptor = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Problem("expected a file, it is something else")
        if reason := distrust(where):
            raise Problem(reason)
        return _bounded(file.read(MAX_SIZE + 1)).decode()


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_SIZE:
        raise Problem(f"expected at most {MAX_SIZE} bytes, got more")
    return content


def _fetched(url: str) -> bytes:
    """Return the answer from a URL, within `FETCH_SECONDS`.

    It is fetched in a thread: a socket's timeout limits each step, but neither the look-up of the name nor an
    answer that arrives byte by byte.
    """
    from threading import Thread

    outcome: list[bytes | Exception] = []

    def fetch() -> None:
        try:
            outcome.append(_answer(url))
        except Exception as error:
            outcome.append(error)

    thread = Thread(target=fetch, name="jobcron-control", daemon=True)
    thread.start()
    thread.join(FETCH_SECONDS)
    if not outcome:
        raise Problem(f"expected an answer within {FETCH_SECONDS:g} seconds, got none")
    if isinstance(outcome[0], bytes):
        return outcome[0]
    if isinstance(outcome[0], OSError | Problem):
        raise outcome[0]
    raise Problem(f"cannot be read: {outcome[0]}") from outcome[0]


def _answer(url: str) -> bytes:
    from urllib import request
    from urllib.error import HTTPError, URLError

    # Only these: a redirection must not lead to a file or another protocol. It follows at most ten.
    opener = request.OpenerDirector()
    for handler in (
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.HTTPRedirectHandler,
    ):
        opener.add_handler(handler())
    try:
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            return _bounded(answer.read(MAX_SIZE + 1))
    except HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise FileNotFoundError(url) from error
        raise Problem(f"cannot be read: status {error.code} {error.reason}") from error
    except URLError as error:
        raise Problem(f"cannot be read: {error.reason}") from error
    except AttributeError as error:  # no handler knows the protocol: there is no answer
        raise Problem("cannot be read: it redirects to another protocol") from error
