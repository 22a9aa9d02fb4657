"""The options that select jobs, the same for every subcommand that has a selection."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from jobcron.operations import asking
from jobcron.operations.asking import STATUS_GROUPS
from jobcron.operations.selection import Selection, sources_of
from jobcron.settings.settings import Settings

Value = TypeVar("Value")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the options; jobs must fit all that are given."""
    add = parser.add_argument_group("filters", "Jobs have to fit all that are given.").add_argument
    add("--section", metavar="SECTION", help="of this section")
    add("--type", action="append", default=[], metavar="FAMILY.TYPE", help="of this type; may be repeated")
    add("--family", metavar="FAMILY", help="of a type of this family")
    add(
        "--status",
        action="append",
        default=[],
        type=str.lower,
        choices=STATUS_GROUPS,
        metavar="STATUS",
        help=_status_help(),
    )
    add("--graph", type=job_id, metavar="ID", help="in the graph of this job: all jobs connected with it")
    add("--queue", metavar="QUEUE", help="in this queue")
    add("--channel", metavar="CHANNEL", help="in this channel or one below it, such as root.export")
    add("--requester", metavar="WHO", help="asked for by this person")
    add("--unique-key", metavar="KEY", help="with this unique key")
    add("--target", type=_target, metavar="CLASS:KEY", help="about this object, for types without their own table")
    add("--argument", action="append", default=[], type=argument, metavar="NAME=VALUE", help="with this argument")
    add("--error", metavar="TEXT", help="whose error contains this text")
    add("--oops", metavar="ID", help="with this OOPS report")
    add("--older-than", type=age, metavar="DURATION", help="created longer ago than this, such as 2d")
    add("--younger-than", type=age, metavar="DURATION", help="created within this, such as 1h30m")
    add("--created-on", type=day, metavar="DAY", help="created on this day in UTC, such as 2026-11-30")
    add("--ended-within", type=age, metavar="DURATION", help="ended within this, such as 1h")
    add("--due-within", type=age, metavar="DURATION", help="due within this from now; 0s: due now")
    add("--due-after", type=age, metavar="DURATION", help="due later than this from now")


def _status_help() -> str:
    return f"with this status: {', '.join(STATUS_GROUPS)}; may be repeated"


def selection_of(options: argparse.Namespace, settings: Settings, ids: tuple[int, ...] = ()) -> Selection:
    """Return the selection that a command line gives.

    Raises:
        ConfigurationError: there is no such section.
    """
    statuses = tuple(sorted({status for name in options.status for status in STATUS_GROUPS[name]}))
    sources = () if options.section is None else sources_of(settings, settings.section(options.section))
    return Selection(
        ids=ids,
        graph=options.graph,
        types=tuple(options.type),
        family=options.family,
        sources=sources,
        statuses=statuses,
        queue=options.queue,
        channel=options.channel,
        requester=options.requester,
        unique_key=options.unique_key,
        target=options.target,
        oops_id=options.oops,
        error=options.error,
        argument=tuple(options.argument),
        older_than=options.older_than,
        younger_than=options.younger_than,
        created_on=options.created_on,
        ended_within=options.ended_within,
        due_within=options.due_within,
        due_after=options.due_after,
    )


def reader_of(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return what reads an option's text, so that argparse prints what was expected."""

    def told(text: str) -> Value:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return told


age = reader_of(asking.age_of)
day = reader_of(asking.day_of)
argument = reader_of(asking.argument_of)
moment = reader_of(asking.moment_of)
_target = reader_of(asking.target_of)


def number_of(what: str) -> Callable[[str], int]:
    """Return what reads the number of a row.

    Args:
        what: what the row is, for the message.
    """

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) < 2**63:
            raise argparse.ArgumentTypeError(f"expected the number {what}, got: {text!r}")
        return int(text)

    return read


job_id = number_of("of a job")
"""Reads the number of a job."""

_id_or_uuid = number_of("or the UUID of a job")


def job_id_or_uuid(text: str) -> int | UUID:
    """Return the number or the UUID of a job."""
    try:
        return UUID(text)
    except ValueError:
        return _id_or_uuid(text)


def priority(text: str) -> int:
    """Return a priority."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a whole number, the lowest goes first, got: {text!r}"
        ) from None


def positive(text: str) -> int:
    """Return a number of jobs, from 1 on."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 10,000,000, got: {text!r}")
    return int(text)
