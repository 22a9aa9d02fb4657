"""What jobs are given comes back equal, of the same type and in the same order, from both databases, for ever."""

from __future__ import annotations

import json
import os
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

import encodingapp
from encodingapp import Chain, Colour, KeepJob, Level, Right, Word
from instances import Instance
from jobcron import InvalidJobData, Job
from jobcron.functions import job
from jobcron.jobs.arguments.encoding import decode, encode
from jobcron.jobs.arguments.exact import VERSION
from samples import NAMES, same, samples

Pair = namedtuple("Pair", "a b")


class Wrapped(str):
    """A text of a subclass."""


class Odd(tzinfo):
    """A zone of somebody's own; it looks like what it comes back as."""

    def __repr__(self) -> str:
        return repr(timezone(timedelta(hours=1)))

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return an hour."""
        return timedelta(hours=1)

    def dst(self, moment: datetime | None) -> None:
        """Return nothing."""

    def tzname(self, moment: datetime | None) -> None:
        """Return nothing."""


class Lost(Enum):
    """An enum that its module does not have any more."""

    ONE = 1


Gone, Lost = Lost, None  # type: ignore[misc, assignment]


@job
def keep(*arguments: Any, **keywords: Any) -> None:
    """Do nothing."""


@pytest.mark.parametrize("sample", samples("arguments-*.json"))
def test_arguments_that_were_ever_written_are_read(sample: Any) -> None:
    assert same(decode(sample["written"], Session()), eval(sample["value"], NAMES))


@pytest.mark.parametrize("sample", samples(f"arguments-{VERSION}.json"))
def test_arguments_are_written_as_this_version_says(sample: Any) -> None:
    assert same(encode(eval(sample["value"], NAMES), "x"), sample["written"])


texts = st.text(st.characters() | st.sampled_from("\0\ud800a$"), max_size=5)
zones = st.sampled_from([None, UTC, timezone(timedelta(seconds=-3208)), Odd()]) | st.timezones(no_cache=True)
numbers = (
    st.integers()
    | st.integers(2**4000, 2**4100)
    | st.floats()
    | st.sampled_from([-0.0, 1e15, 1e16, 1e22, 5e-324, -1.7976931348623157e308, 2**53 + 1])
)
plain = st.none() | st.booleans() | numbers | texts | st.sampled_from([*Level, *Word])
others = (
    st.datetimes(timezones=zones)
    | st.builds(datetime.replace, st.datetimes(timezones=zones), fold=st.just(1))
    | st.dates()
    | st.decimals()
    | st.uuids()
    | st.binary(max_size=5)
    | st.sampled_from(
        [*Colour, *Level, *Word, *Right, Right.READ | Right.WRITE, Right(0), Wrapped("a"), Pair(1, 2)]
    )
)


def nested(leaves: Any, keys: Any) -> Any:
    """Return values in collections of collections."""
    hashable = leaves.filter(lambda value: isinstance(value, int | str | bytes | UUID | date | NoneType | Enum))
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(keys(hashable), inner, max_size=4)
            | st.sets(hashable, max_size=3)
            | st.frozensets(hashable, max_size=3)
        ),
        max_leaves=12,
    )


given_values = nested(plain | others, lambda hashable: hashable | st.tuples(hashable))
given_documents = st.dictionaries(texts | st.just("$jobcron"), nested(plain, lambda hashable: texts | hashable))

EXAMPLES = settings(
    max_examples=5000 if os.environ.get("JOBCRON_CHAOS") else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def kept(session: Session, make: Callable[[], Any]) -> Job | None:
    """Return the row of a job as it is read again, or None where the job was refused."""
    savepoint = session.begin_nested()
    try:
        number = make().id
    except InvalidJobData:
        savepoint.rollback()
        return None
    session.flush()
    session.expunge_all()
    return session.get_one(Job, number)


@EXAMPLES
@given(value=given_values)
def test_an_argument_comes_back_as_it_was_given_or_is_refused(session: Session, value: Any) -> None:
    row = kept(session, lambda: KeepJob.create(anything=value, session=session))
    if row is not None:
        assert same(KeepJob(row).anything, value)


@EXAMPLES
@given(document=given_documents)
def test_metadata_and_workspaces_come_back_as_they_were_given_or_are_refused(
    session: Session, document: Any
) -> None:
    row = kept(session, lambda: KeepJob.create(metadata=document, session=session))
    if row is not None:
        assert same(dict(row.json_data), document)
    row = kept(session, lambda: Chain.create(workspace=document, session=session))
    if row is not None:
        assert same(Chain(row).workspace, document)


def test_what_is_refused_says_what_to_give_instead(session: Session) -> None:
    for value, message in (
        (Wrapped("a"), "got Wrapped: 'a'; it would be read back as a plain str: pass that"),
        (Pair(1, 2), r"got Pair: Pair\(a=1, b=2\); it would be read back as a plain tuple: pass that"),
        (OrderedDict(a=1), "plain dict: pass that"),
        (datetime(2026, 1, 1, tzinfo=NoOffset()), "to have a zone of zoneinfo or datetime.timezone"),
        (time(12), "of a type that a job's row can keep, got time"),
        (bytearray(b"a"), "of a type that a job's row can keep, got bytearray"),
        (Gone.ONE, "of an enum that its module has by its name"),
    ):
        with pytest.raises(InvalidJobData, match=message):
            KeepJob.create(anything=value, session=session)
    for other in (Wrapped("a"), Pair(1, 2), OrderedDict(a=1)):
        with pytest.raises(
            InvalidJobData, match=r"to be JSON .*; it would be read back as a plain \w+: pass that"
        ):
            KeepJob.create(metadata={"a": other}, session=session)
    with pytest.raises(InvalidJobData, match=r"to have no member \$jobcron"):
        KeepJob.create(metadata={"$jobcron": 1}, session=session)


class NoOffset(Odd):
    """A zone that knows of no offset."""

    def utcoffset(self, moment: datetime | None) -> None:
        """Return nothing."""


def test_every_way_to_give_values_keeps_them(instance: Instance) -> None:
    odd = {"long": 1e22, "b": (-0.0, {"zz": 1, "y": 2}), "words": [Word.YES, Level.HIGH]}
    with instance.session() as session:
        jobs = [
            KeepJob.create(metadata=odd, session=session).id,
            KeepJob.acquire(metadata=odd, unique_key="k", session=session).id,
            *KeepJob.createMultiple([{"metadata": odd}], session=session),
        ]
        keep.delay(session, odd, **odd)
        chain = Chain.create(workspace=odd, session=session).id
        changed = KeepJob.create(session=session)
        changed.anything = odd
        changed.metadata["more"] = odd
    with instance.session() as session:
        for number in jobs:
            assert same(dict(session.get_one(Job, number).json_data), odd)
        called = session.scalars(select(Job).where(Job.json_data["function"].as_string().like("%keep"))).one()
        assert same(list(called.json_data), ["function", "keywords", "arguments"])
        assert same(encodingapp.call_of(called), ((odd,), odd))
        assert same(Chain.get(chain, session=session).workspace, odd)
        found = KeepJob.get(changed.id, session=session)
        assert same((found.anything, found.metadata["more"]), (odd, odd))


def test_a_job_that_newer_code_has_written_waits_for_it_alone(instance: Instance) -> None:
    instance.configure(sections="[keep]\nsource_interface: encodingapp.ReadJob\n")
    path = instance.path / "jobcron.conf"
    apps = Path(encodingapp.__file__).parent
    path.write_text(
        path.read_text().replace("fooapp:register", "encodingapp").replace("path: ", f"path: {apps} ", 1)
    )
    with instance.session() as session:
        newer, good = (encodingapp.ReadJob.create(anything=1, session=session).id for _ in range(2))
    newest = {"anything": 1, "$jobcron": {"version": VERSION + 1}}
    instance.query("UPDATE jobcron_job SET json_data = :data WHERE id = :id", data=json.dumps(newest), id=newer)
    log = instance.run("keep")
    assert [instance.row(job).status.name for job in (newer, good)] == ["WAITING", "COMPLETED"]
    assert "this code lacks the encoding of the data of encodingapp." in log
