"""The one parser of configuration files: sections, keys and values, each with its line.

The syntax is that of lazr.config and configparser: ``key: value`` or ``key = value``, values that continue on
indented lines, comments on separate lines. Two mistakes that those accept silently are refused: a section or
key given twice, and a key indented by mistake, which they read as part of the value before it.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.settings.settings import CHANNEL_NAME, CHANNEL_RULE, LEAST_NAME, SECTION_NAME
from jobcron.settings.suggestions import suggestion

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    Result = TypeVar("Result")

    Report = Callable[[ConfigurationError], None]
    """What becomes of a mistake: it is raised, or kept while the rest is looked at."""

TEMPLATE, META, EXTENDS = "job_section", "meta", "extends"
SCHEDULE_TEMPLATE = "job_schedule"
CHANNEL_TEMPLATE = "job_channel"

SCHEDULE = "schedule:"
"""What the name of a schedule's section begins with; the schedule's name follows."""

CHANNEL = "channel:"
"""What the name of a channel's section begins with; the channel's name follows."""

# why: decisions 2026-11-29, one parser of configurations
RESERVED = (TEMPLATE, SCHEDULE_TEMPLATE, CHANNEL_TEMPLATE, "DEFAULT")
"""Names that no section may have: the schema's templates, and configparser's default."""

_SECTION = re.compile(r"\[(.*)\]\s*")
_KEY = re.compile(r"([^\s#;:=\[][^:=]*?)\s*[:=]\s*(.*)")
_INDENTED_KEY = re.compile(r"\s+([A-Za-z_]\w*)\s*[:=](\s|$)?")


def raise_at_once(error: ConfigurationError) -> None:
    """Raise a mistake: what follows it may be its consequence."""
    raise error


class Entry(NamedTuple):
    """A key and its value, or, if the key is empty, the beginning of a section.

    Attributes:
        section: the section's name.
        key: the key's name.
        value: its text, without blanks around it; line feeds separate the lines of a longer one.
        line: the number of its first line.
    """

    section: str
    key: str
    value: str
    line: int


def entries(
    path: str,
    text: str,
    keys: Container[str] = (),
    reserved: Sequence[str] = RESERVED,
    report: Report = raise_at_once,
) -> Iterator[Entry]:
    """Iterate over the entries of a configuration file; parse no further than the caller iterates.

    Args:
        path: of the file, for messages.
        text: its content.
        keys: every key that a section may have: no continuation line of a value may begin with one.
        reserved: names that no section may have.
        report: is called with each mistake; if it returns, what is wrong is left out, with its name a section.

    Raises:
        ConfigurationError: the syntax is wrong; the message names file and line.
    """
    first: dict[tuple[str, str], int] = {}
    section, current = "", Entry("", "", "", 0)
    is_lost = is_section_lost = False
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        if not stripped or line[0].isspace():
            if stripped and not is_lost:
                _attempt(report, _check_indented, f"{path}, line {number}", line, current, keys)
            current = current._replace(value=f"{current.value}\n{stripped}")
            continue
        if current.line:
            yield current._replace(value=current.value.strip())
        if is_section_lost and not line.startswith("["):
            continue
        made = _attempt(report, _new_entry, first, f"{path}, line {number}", line, section, reserved)
        is_lost = made is None
        is_section_lost = is_lost and line.startswith("[")
        if made is None:
            current = Entry(section, "", "", 0)
            continue
        section, current = made.section, made._replace(line=number)
        first[section, current.key] = number
    if current.line:
        yield current._replace(value=current.value.strip())


def _attempt(report: Report, check: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result | None:
    """Return the result of a check, or nothing if it has a mistake to report."""
    try:
        return check(*args, **kwargs)
    except ConfigurationError as error:
        report(error)
        return None


def extended(path: str, base: str) -> str:
    """Return the path of the file that a configuration file extends.

    Args:
        path: of the file.
        base: the value of its key ``extends``.

    Raises:
        ConfigurationError: the value is an absolute path.
    """
    if os.path.isabs(base):
        raise ConfigurationError(
            f"{path}: section [{META}], key {EXTENDS}: expected a path from this file's folder, got: {base}"
        )
    return os.path.normpath(os.path.join(os.path.dirname(path), base))


def _new_entry(
    first: Mapping[tuple[str, str], int], place: str, line: str, section: str, reserved: Sequence[str]
) -> Entry:
    """Return the entry that begins on an unindented line; it may not be among the first ones."""
    found = _entry(place, line, section, reserved)
    if (found.section, found.key) in first:
        what = f"section [{found.section}]" + (f", key {found.key}" if found.key else "")
        line_before = first[found.section, found.key]
        raise ConfigurationError(f"{place}: {what}: given twice, first in line {line_before}")
    return found


def _entry(place: str, line: str, section: str, reserved: Sequence[str]) -> Entry:
    """Return the entry that begins on an unindented line."""
    if line.startswith("["):
        found = _SECTION.fullmatch(line)
        name = found[1] if found else ""
        if name.startswith(CHANNEL):
            if not CHANNEL_NAME.fullmatch(name.removeprefix(CHANNEL)):
                raise ConfigurationError(
                    f"{place}: expected {CHANNEL} and the name of a channel: {CHANNEL_RULE}; got {line.strip()!r}"
                )
            return Entry(name, "", "", 0)
        own_name = name.removeprefix(SCHEDULE)
        if not SECTION_NAME.fullmatch(own_name) or len(own_name) < LEAST_NAME or name in reserved:
            expected = _expected_section(name)
            raise ConfigurationError(f"{place}: expected {expected}; got {line.strip()!r}{_meant(name)}")
        return Entry(name, "", "", 0)
    match = _KEY.match(line)
    if match is None:  # not shown: it may be part of a secret value
        raise ConfigurationError(f"{place}: expected a section, a key with its value, or a comment, found neither")
    if not section:
        raise ConfigurationError(f"{place}: expected a section before the key {match[1]}")
    return Entry(section, match[1], match[2].rstrip(), 0)


def _expected_section(name: str) -> str:
    """Return which names of sections are right, of the kind that a wrong one seems to be of."""
    rule = f"of {LEAST_NAME} to 64 letters, digits, _ and -, beginning with a letter"
    if name.startswith(SCHEDULE):
        return f"{SCHEDULE} and a name {rule}"
    rule = f"a section's name {rule}, and none of {', '.join(RESERVED)}"
    if ":" not in name:
        return rule
    return f"{rule}; {SCHEDULE} and a name; or {CHANNEL} and the name of a channel: {CHANNEL_RULE}"


def _meant(name: str) -> str:
    """Return the end of a message that names the kind of section that may be meant by a name with a colon."""
    kind, colon, rest = name.partition(":")
    kinds = [SCHEDULE.rstrip(":"), CHANNEL.rstrip(":")]
    meant = suggestion(kind, kinds).removesuffix("?") if colon and kind not in kinds else ""
    return f"{meant}:{rest}?" if meant else ""


def _check_indented(place: str, line: str, current: Entry, keys: Container[str]) -> None:
    """Check that an indented line continues a value, and is not a section or key indented by mistake."""
    if _SECTION.fullmatch(line.strip()):
        raise ConfigurationError(f"{place}: expected a section at the beginning of the line, got it indented")
    where = f"{place}: section [{current.section}]" if current.section else place
    match = _INDENTED_KEY.match(line)
    # A value's line may be module:callable. With a blank after the colon, or a key before it, it is a mistake.
    if match and (not current.key or match[2] is not None or match[1] in keys):
        raise ConfigurationError(
            f"{where}: expected a key at the beginning of the line, got it indented: {match[1]}"
        )
    if not current.key:
        raise ConfigurationError(f"{where}: expected a key before an indented line, found none")
