"""What a claim knows of the channels that it has locked."""

from __future__ import annotations

from typing import Any

import pytest

from channel_jobs import SOMEBODY, limit, take
from fooapp import DoFooJob
from instances import Instance
from jobcron.database.sql import lines
from jobcron.jobs.moves.held import Held, is_within, lock_channels
from jobcron.queue.claim import claim


def held(instance: Instance, job: int, section_channel: str = "") -> Held:
    """Lock the channels of a job's type, and return what is known of them."""
    number = instance.row(job).type_id
    with instance.database.begin() as connection:
        return lock_channels(connection, number, section_channel)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, {"starts"}),
        ({"capacity": 2}, {"caps", "starts"}),
        ({"per_key": 2}, {"keys", "starts"}),
        ({"sequential": "target"}, {"turns", "starts"}),
        ({"sequential": "channel", "per_key": 1}, {"caps", "turns", "halts", "keys", "starts"}),
    ],
)
def test_a_claim_knows_what_its_channels_limit_and_those_above_them(
    instance: Instance, limits: dict[str, Any], expected: set[str]
) -> None:
    limit(instance, "root", **limits)
    limit(instance, "root.export", throttle=2, period=60.0)
    limit(instance, "root.exporters", capacity=1, per_key=1, sequential="channel", throttle=1, period=1.0)
    job = instance.act(channel="root.export.eu")
    assert held(instance, job) == Held(lines(("root", "root.export")), frozenset(expected), frozenset({"lanes"}))


def test_a_channel_in_which_a_job_runs_is_locked_too(instance: Instance) -> None:
    limit(instance, "root.export", per_key=2)
    job = instance.act(channel="root.export")
    assert take(instance) == [job]
    assert held(instance, job) == Held(lines(("root.export",)), frozenset({"keys"}), frozenset())


def test_a_claim_knows_whether_jobs_without_a_limit_wait(instance: Instance) -> None:
    limit(instance, "root.export", capacity=2)
    job = instance.act()
    assert held(instance, job).waits == {"plain", "many"}
    assert held(instance, job, "root.export.eu").waits == {"plain"}
    instance.act(channel="root.export")
    assert held(instance, job, "root.export").waits == {"plain", "lanes"}
    instance.act(channel="root.mail")
    assert held(instance, job, "root.export").waits == {"plain", "lanes", "many"}
    limit(instance, "root.export", sequential="target")
    assert held(instance, job, "root.export").waits == {"plain", "lanes", "many", "far", "heads"}


@pytest.mark.parametrize("sequential", ["target", None])
def test_a_claim_in_an_order_knows_whether_other_types_wait_and_what_any_channel_limits(
    instance: Instance, sequential: str | None
) -> None:
    limit(instance, "root.export", sequential=sequential)
    limit(instance, "root.exporters", per_key=1)
    job = instance.act(channel="root.export")
    alone = Held(lines(("root.export",)), frozenset({"turns"} if sequential else ()), frozenset({"lanes"}))
    assert held(instance, job) == alone
    with instance.session() as session:
        other = DoFooJob.create(instance.foo(session), session=session, channel="root.exporters").job.id
    if sequential is None:
        assert held(instance, job) == alone
        return
    assert held(instance, job) == alone._replace(
        limits=frozenset({"turns", "keys"}), waits=frozenset({"lanes", "mixed"})
    )
    assert held(instance, other).waits == {"lanes"}  # no order is kept there
    assert take(instance) == [job]
    assert held(instance, job).waits == frozenset()


def test_nothing_is_known_of_a_type_of_which_nothing_waits(instance: Instance) -> None:
    job = instance.act()
    assert take(instance, claimant=SOMEBODY) == [job]
    assert held(instance, job) == Held("", frozenset(), frozenset())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite nobody writes meanwhile
def test_a_channel_that_gets_its_first_limit_after_the_lock_is_full_for_this_claim(instance: Instance) -> None:
    job = instance.act(channel="root.export")
    number = instance.row(job).type_id
    with instance.database.begin() as connection:
        known = lock_channels(connection, number, "")
        limit(instance, "root.export", capacity=5)
        assert claim(connection, number, 1, SOMEBODY, known) == []
    assert take(instance) == [job]


@pytest.mark.parametrize(
    ("channel", "name", "is_so"),
    [
        ("root.export", "root", True),
        ("root", "root", True),
        ("root.exports", "root.export", False),
        ("", "root", False),
    ],
)
def test_a_channel_is_within_itself_and_those_above_it(channel: str, name: str, is_so: bool) -> None:
    assert is_within(channel, name) is is_so
