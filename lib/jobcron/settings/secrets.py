"""Hide what must never appear in a report, a log or a mail: passwords, and whatever looks like one."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Sized

HIDDEN = "***"

MIN_SECRET = 6
"""Shorter values of the environment are not hidden: they would hide parts of every text."""

MAX_TEXT = 10_000
"""The longest text of a value, in characters; longer ones are cut in the middle."""

LONGEST = 200_000

MAX_ENTRIES = 100
"""The longest list or dictionary that is shown whole."""

MAX_DEPTH = 8

_WORDS = "passw(?:or)?d|passphrase|pwd|secret|token|(?:api|private|access)[_-]?key|credential"
_SECRET_NAME = re.compile(rf"{_WORDS}|authorization|cookie|dsn", re.IGNORECASE)
_OPEN_NAMES = frozenset({"lease_token", "PWD", "OLDPWD"})
"""Names that look like those of secrets and are not: a counter, and a shell's working directories."""

# Every repetition is bounded and begins at the start of a word: a job may craft a text that is slow to match.
_URL_PASSWORD = re.compile(
    r"(?P<before>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^\s/:@]{0,200}:)[^\s]{1,500}(?=@)", re.IGNORECASE
)
_OF_URL = re.compile(rf"://[^\s/:@]{{0,200}}:([^\s@]{{{MIN_SECRET},500}})@")
_STILL_SAID = r"(?![\"']?\*{3}[\"']?(?:[\s,;)&}\]]|$))"  # else JSON that is redacted twice would be invalid
_STRING = rf"{_STILL_SAID}(?:\"(?:[^\"\\\n]|\\.){{0,500}}\"?|'(?:[^'\\\n]|\\.){{0,500}}'?)"
_QUOTED = rf"{_STILL_SAID}(?:{_STRING}|[^\s,;)&]{{1,500}})"
_NAME = rf"[\w-]{{0,40}}?(?:{_WORDS})[\w-]{{0,20}}"
_IS = r"(?:\\?['\"]?\s{0,3}[=:]\s{0,3}(?:(?:bearer|basic|token|digest)\s{1,3})?|['\"],\s{0,3}(?=['\"]))"
_ASSIGNED = re.compile(rf"(?P<before>(?<![\w-]){_NAME}{_IS}){_QUOTED}", re.IGNORECASE)
_HEADER = re.compile(
    rf"(?P<before>(?<![\w-])[\w-]{{0,40}}?(?:authorization|cookie)[\w-]{{0,20}}{_IS})(?:{_STRING}|[^\n]{{1,1000}})",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"(?P<before>(?<![\w-])--{_NAME}\s{{1,3}}){_QUOTED}", re.IGNORECASE)
_OF_ROLE = re.compile(rf"(?P<before>(?<![\w-])password\s{{1,3}}){_STRING}", re.IGNORECASE)  # in SQL
_ELEMENT = re.compile(rf"(?P<before><{_NAME}(?:\s[^<>]{{0,100}})?>)[^<]{{1,500}}", re.IGNORECASE)
# The details that PostgreSQL adds to a message quote values of rows and statements; its hints do not.
_MARGIN = r"^[ \t|+]{0,80}"  # of the lines of an ExceptionGroup
_LABEL = rf"{_MARGIN}(?:DETAIL|CONTEXT|WHERE|QUERY|LINE \d{{1,9}}):"
# The message itself quotes a value that could not be read: after the driver error's name, or in set phrases.
_DRIVER = (
    r"\b(?:psycopg2?|asyncpg)(?:\.\w{1,80}){1,4}(?:\)|:) |(?=\binvalid input (?:syntax|value) for |"
    r"\bmalformed \w{1,20} literal: |\bdate/time field value out of range: |"
    r"\bvalue \"[^\"]{1,500}\" is out of range for type )"
)
_VALUES = re.compile(rf"(?P<label>{_LABEL})|{_DRIVER}", re.MULTILINE)
_END = re.compile(
    rf"{_LABEL}|{_MARGIN}(?:HINT:|\[SQL: |\[parameters: |\(Background on this error|The above exception was |"
    rf"During handling of |Traceback \(most recent|File \"|\+-)",
    re.MULTILINE,
)
_LITERAL = re.compile(r"(?P<before>: )\".{0,100000}|(?P<word>\b\w{1,30}) \"[^\"]{0,100000}\"", re.DOTALL)
_NAMED = re.compile(
    "aggregate|at|cast|collation|column|constraint|cursor|database|domain|encoding|enum|extension|field|for|function|"
    "index|key|language|name|named|near|of|operator|option|parameter|policy|relation|role|rule|savepoint|schema|"
    "sequence|server|socket|statement|table|tablespace|to|trigger|type|user|view",
    re.IGNORECASE,
)
"""The words before something that PostgreSQL quotes because it is a name, not a value."""


_HINTS = ("://", "passw", "passphrase", "pwd", "secret", "token", "key", "credential", "authorization", "cookie")
"""Every text that the patterns match contains one of these, in lower case."""


class Redactor:
    """Replaces secrets in text that is about to be written.

    Args:
        secrets: texts that are hidden wherever they appear, such as the password of the database's URL.
            Values of the environment with a secret's name, and passwords of URLs there, are added.
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = {s for s in secrets if s}
        known |= {v for k, v in os.environ.items() if is_secret(k) and len(v) >= MIN_SECRET}
        known |= {found[1] for v in os.environ.values() for found in _OF_URL.finditer(v)}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` without secrets; a text longer than any report shows is cut to that length."""
        text = self.known(cut(text, LONGEST))
        lower = text.lower()
        if any(hint in lower for hint in _HINTS):  # few lines of a log have one
            for pattern in (_URL_PASSWORD, _ASSIGNED, _HEADER, _OPTION, _OF_ROLE, _ELEMENT):
                text = pattern.sub(rf"\g<before>{HIDDEN}", text)
        return _without_values(text)

    def known(self, text: str) -> str:
        """Return `text` without the known secrets; text that only looks like a secret stays."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def value(self, value: object, depth: int = 0) -> object:
        """Return a value for a report: without secrets, bounded, and of types that JSON has."""
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return value if abs(value) < 2**63 else self.value(hex(value))
        if isinstance(value, float):
            return value if math.isfinite(value) else repr(value)
        if isinstance(value, str):
            return cut(self.text(value), MAX_TEXT)
        if depth < MAX_DEPTH and isinstance(value, dict):
            pairs = list(itertools.islice(value.items(), MAX_ENTRIES))
            return {self.name(k): self.named(k, v, depth + 1) for k, v in pairs} | _left_out(value)
        if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
            if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str):
                name, content = value
                return [self.name(name), self.named(name, content, depth + 1)]
            shown = [self.value(item, depth + 1) for item in itertools.islice(value, MAX_ENTRIES)]
            return shown + list(_left_out(value).values())
        return cut(self.text(printed(value)), MAX_TEXT)

    def name(self, name: object) -> str:
        """Return a name as a report shows it."""
        return cut(self.text(name if isinstance(name, str) else printed(name)), 200)

    def named(self, name: object, value: object, depth: int = 0) -> object:
        """Return a named value for a report; if the name says that it is a secret, hide all of it.

        True and False stay: they say whether there is a secret, not what it is.
        """
        text = name if isinstance(name, str) else printed(name)
        if is_secret(text) and not isinstance(value, bool):
            return HIDDEN
        return self.value(value, depth)


def _without_values(text: str) -> str:
    """Return `text` without the values that database messages in it quote."""
    parts, start = [], 0
    while found := _VALUES.search(text, start):
        end = _END.search(text, found.end())
        stop = end.start() if end else len(text)
        said = text[found.end() : stop]
        parts.append(text[start : found.end()])
        if found["label"]:
            parts.append(f" {HIDDEN}" + "\n" * said.endswith("\n"))
        else:
            parts.append(_LITERAL.sub(_without_literal, said))
        start = stop
    return "".join([*parts, text[start:]])


def _without_literal(found: re.Match[str]) -> str:
    if found["before"]:
        return f": {HIDDEN}" + "\n" * found[0].endswith("\n")
    return found[0] if _NAMED.fullmatch(found["word"]) else f"{found['word']} {HIDDEN}"


def is_secret(name: str) -> bool:
    """Return whether a name says that its value is a secret."""
    return name not in _OPEN_NAMES and bool(_SECRET_NAME.search(name))


_of_process: list[Redactor] = []


def redactor() -> Redactor:
    """Return the redactor of this process; it knows the configuration's secrets once that is read."""
    return _of_process[-1] if _of_process else hide(())


def hide(secrets: Iterable[str | None]) -> Redactor:
    """Make `redactor` hide these secrets from now on, and return it."""
    _of_process[:] = [Redactor(secrets)]
    return _of_process[-1]


def _left_out(value: Sized) -> dict[str, str]:
    more = len(value) - MAX_ENTRIES
    return {"…": f"{more} more"} if more > 0 else {}


def cut(text: str, length: int) -> str:
    """Return `text`, cut in the middle if it is longer than `length`."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}[…]{text[-half:]}"


def storable(text: str) -> str:
    """Return `text` in a form that every database and file accepts: no lone surrogates, no NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def printed(value: object) -> str:
    """Return `repr(value)`, or a placeholder for a value whose ``repr`` raises."""
    try:
        return repr(value)
    except BaseException as error:  # a report must be made whatever a job's objects do, even `sys.exit`
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"
