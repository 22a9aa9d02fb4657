"""Filters of jobs in addresses: every view is a link."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from jobcron.errors import ConfigurationError
from jobcron.operations.asking import age_of, argument_of, day_of, number_of, statuses_of, target_of, text_of
from jobcron.operations.selection import Selection
from jobcron.settings.secrets import is_secret
from jobcron.settings.settings import Settings

Value = TypeVar("Value")

TEXTS = {
    "section": "Section",
    "type": "Type",
    "family": "Family",
    "queue": "Queue",
    "channel": "Channel",
    "error": "Error has the text",
    "oops": "Report",
    "requester": "Requester",
    "unique_key": "Unique key",
    "target": "Target (CLASS:KEY)",
    "argument": "Argument (NAME=VALUE)",
    "created_on": "Created on",
    "graph": "In the graph of job",
}
"""The filters with texts, and what they are called."""

AGES = {
    "younger_than": "Created within",
    "older_than": "Created before",
    "ended_within": "Ended within",
    "due_within": "Due within",
    "due_after": "Due after",
}
"""The filters with durations."""

NAMES = ("status", *TEXTS, *AGES)


@dataclass(frozen=True)
class Filters:
    """The filters of an address.

    Attributes:
        texts: the values, as they stand in the address, by name.
        selection: what they mean.
        mistakes: what is wrong with them, in words; such a filter then selects nothing.
    """

    texts: dict[str, str]
    selection: Selection
    mistakes: tuple[str, ...]

    def with_status(self, status: str | None) -> dict[str, str]:
        """Return the values for the same filters with another status."""
        others = {name: text for name, text in self.texts.items() if name != "status"}
        return others if status is None else {**others, "status": status}

    def of_group(self, by: str, value: str | None) -> dict[str, str] | None:
        """Return the values for one group of these jobs; None: no filter means it."""
        name = {"day": "created_on"}.get(by, by)
        return None if value is None else {**self.texts, name: value}

    def without(self, name: str) -> dict[str, str]:
        """Return the values without those of one filter."""
        return {other: text for other, text in self.texts.items() if other != name}


def read_filters(settings: Settings, given: MultiDict[str, str]) -> Filters:
    """Return the filters of an address or a form; names that are no filters are left out."""
    texts = {name: given.get(name, "").strip() for name in NAMES}
    texts = {name: text for name, text in texts.items() if text}
    mistakes: list[str] = []

    def read(name: str, reader: Callable[[str], Value]) -> Value | None:
        if name not in texts:
            return None
        try:
            return reader(texts[name])
        except (ValueError, ConfigurationError) as error:
            mistakes.append(f"{TEXTS.get(name) or AGES.get(name) or name}: {error}")
            return None

    for name in list(texts):
        if read(name, text_of) is None:
            del texts[name]  # each link of the page would have it
    argument = read("argument", _open_argument)
    found = Selection(
        types=(texts["type"],) if "type" in texts else (),
        family=texts.get("family"),
        statuses=read("status", statuses_of) or (),
        queue=texts.get("queue"),
        channel=texts.get("channel"),
        requester=texts.get("requester"),
        unique_key=texts.get("unique_key"),
        target=read("target", target_of),
        oops_id=texts.get("oops"),
        error=texts.get("error"),
        argument=() if argument is None else (argument,),
        created_on=read("created_on", day_of),
        graph=read("graph", number_of),
        younger_than=read("younger_than", age_of),
        older_than=read("older_than", age_of),
        ended_within=read("ended_within", age_of),
        due_within=read("due_within", age_of),
        due_after=read("due_after", age_of),
    )
    of_section = read("section", lambda name: Selection.of_section(settings, name).sources)
    if of_section is not None:
        found = dataclasses.replace(found, sources=of_section)
    return Filters(texts, found, tuple(mistakes))


def _open_argument(text: str) -> tuple[str, object]:
    name, value = argument_of(text)
    if is_secret(name):
        raise ValueError("expected an argument whose name does not say that it is a secret: those are hidden")
    return name, value


def described(filters: Filters) -> Iterator[tuple[str, str, str]]:
    """Yield each filter but the status: its name, what it is called, and its value."""
    for name, text in filters.texts.items():
        if name != "status":
            yield name, TEXTS.get(name) or AGES[name], text
