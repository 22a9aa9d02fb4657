"""The channels that a claim has locked, and what it therefore knows of their limits."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from jobcron.database.sql import LIMITS, lines
from jobcron.database.statements import execute


class Held(NamedTuple):
    """The channels whose rows a transaction has locked, so that it can count what runs there.

    Attributes:
        names: their names, as a parameter: see `jobcron.database.sql.lines`.
        limits: what they limit, of `LIMITS`. It is certain: nobody changes them while they are locked. If an
            order is kept and jobs of other types wait, also what any channel limits.
        waits: what waited when they were locked, of `JOBS`. More may wait now, so a claim that finds nothing
            of this kind looks for all. Empty: nothing did, or nothing is known.
    """

    # why: decisions 2026-12-01, a claim in channels asks only for the limits that it has locked

    names: str
    limits: frozenset[str] = LIMITS
    waits: frozenset[str] = frozenset()


def lock_channels(connection: Connection, type_id: int, section_channel: str) -> Held:
    """Lock the channels in which jobs of a type wait or run, and those above them, once for a transaction.

    All transactions lock them in the same order, and none locks twice: so none waits for another in a circle.

    Args:
        connection: in a transaction that writes. On SQLite that has the database's only lock.
        type_id: the number of the type.
        section_channel: the channel of jobs without one; empty: they are in none.
    """
    names: list[str] = []
    lanes: list[str] = []
    limits: set[str] = set()
    waits: set[str] = set()
    for row in execute(connection, "lock_channels", {"type": type_id, "channel": section_channel}):
        if row.kind == "held":
            names.append(row.name)
            limits |= {limit for limit in LIMITS if getattr(row, f"has_{limit}")}
        elif row.kind == "lane":
            lanes.append(row.name)
            waits.add("lanes")
        elif row.kind == "other":
            waits.add("mixed")
            limits |= {limit for limit in LIMITS if getattr(row, f"has_{limit}")}
        else:
            lanes.append(section_channel)
            waits.add("plain")
    if not lanes:
        waits.clear()  # others wait, but none of this type
    if not all(any(is_within(lane, name) for name in names) for lane in lanes):
        waits.add("many")
    if "turns" in limits and ("many" in waits or {"lanes", "plain"} <= waits):
        waits |= {"far", "heads"}  # else only the first of all in line is looked at, since it has its turn
    return Held(lines(tuple(names)), frozenset(limits), frozenset(waits))


def is_within(channel: str, name: str) -> bool:
    """Return whether a channel is another one, or below it."""
    return f"{channel}.".startswith(f"{name}.")
