"""Channels: how many jobs run at once, over all runners, is limited; full ones keep nobody else waiting."""

from __future__ import annotations

import functools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from channel_jobs import SOMEBODY, limit, take, take_all
from fooapp import ActJob, OwnReadyJob
from instances import SECTIONS, Instance, wait_until
from jobcron import BaseRunnableJob, InvalidJobData, Job, JobStatus, JobType
from jobcron.database.sql import LIMITS
from jobcron.jobs.moves.channels import set_limits
from jobcron.jobs.moves.held import Held
from jobcron.operations.pauses import Scope, pause, unpause
from jobcron.queue import tick
from jobcron.queue.claim import Claimant, claim, hold_channels
from jobcron.settings.instance import load_settings
from query_cost import noted_statements, statement_cost
from races import make_queue, race
from runner_processes import numbers
from ticks import took_the_full_path

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WRITE = ("write", "effect")

GONE = "somebody:2/b"

QUICK = (
    "claim_limited+lanes+caps+plain+many",
    "claim_limited+lanes+turns+plain+many+far+heads",
    "claim_limited+lanes+caps",
    "claim_limited+lanes+keys+starts",
    "claim_limited+lanes+caps+turns+halts",
    "claim_limited+caps+plain",
)
"""What a claim asks first, where not everything can be in its way."""


class ExportType(JobType):
    """The types of jobs with a channel of their own."""

    EXPORT = 1, "Export"


class Exporting(BaseRunnableJob):
    """Says its channel."""

    class_job_type = ExportType.EXPORT
    channel = "root.export"

    def run(self) -> None:
        """Do nothing."""


def has_work(instance: Instance, channel: str | None = None) -> bool:
    """Return what a tick says of the section act; a run was recorded before."""
    return bool(tick.with_work(instance.url, None, {"act": ActJob.type_name}, 600.0, {}, {"act": channel}))


def overlaps(rows: list[tuple[datetime, datetime]]) -> int:
    """Return how many of some times there are at once, at most."""
    moments = sorted([(start, 1) for start, _ in rows] + [(end, -1) for _, end in rows])
    most = running = 0
    for _, step in moments:  # at the same moment ends come first: the one made room for the other
        running += step
        most = max(most, running)
    return most


@pytest.mark.feature("OCQ-10")
def test_at_no_time_do_more_jobs_run_than_the_capacities_of_a_channel_and_of_its_parent(
    instance: Instance,
) -> None:
    make_queue(instance, 240)
    instance.query(
        "UPDATE jobcron_job SET channel = CASE WHEN id % 3 = 0 THEN 'root.export.eu' WHEN id % 3 = 1 "
        "THEN 'root.export.us' ELSE 'root.mail' END"
    )
    capacities = {"root": 4, "root.export": 3, "root.export.eu": 1, "root.mail": 2}
    for name, capacity in capacities.items():
        limit(instance, name, capacity=capacity)
    race(instance, "drain", 6)
    assert numbers(instance, JobStatus.COMPLETED) == list(range(1, 241))
    rows = [row for row in instance.rows() if row.date_started and row.date_finished]
    for name, capacity in capacities.items():
        times = [(row.date_started, row.date_finished) for row in rows if f"{row.channel}.".startswith(f"{name}.")]
        assert overlaps(times) <= capacity, name  # type: ignore[arg-type]
    if instance.database.dialect == "postgresql":
        assert overlaps([(row.date_started, row.date_finished) for row in rows]) > 1  # type: ignore[misc]


def test_the_jobs_of_a_child_take_places_of_its_parent(instance: Instance) -> None:
    limit(instance, "root.export", capacity=2)
    for channel in ("root.export", "root.export.eu", "root.export.us", "root.exporters"):
        instance.act(channel=channel)
    assert take_all(instance) == [1, 2, 4]  # the last one is in another channel, whose name is similar


def test_a_channel_without_a_limit_limits_nothing(instance: Instance) -> None:
    jobs = [instance.act(channel="root.export") for _ in range(5)]
    assert take(instance) == jobs  # in one batch, as without a channel


def test_a_job_with_a_limit_is_claimed_alone_and_in_the_order_of_all_jobs(instance: Instance) -> None:
    limit(instance, "root.export", capacity=5)
    first = instance.act(priority=1)
    limited = instance.act(priority=2, channel="root.export")
    rest = [instance.act(priority=3), instance.act(priority=3)]
    assert [take(instance), take(instance), take(instance), take(instance)] == [[first], [limited], rest, []]


def test_a_job_behind_those_of_a_full_channel_goes_before_one_in_no_channel_that_is_behind_it(
    instance: Instance,
) -> None:
    limit(instance, "root.mail", capacity=3)
    crowd(instance, "root.export", 150)
    plain, better = instance.act(priority=30), instance.act(priority=20, channel="root.mail")
    assert [take(instance), take(instance)] == [[better], [plain]]


CHANGED = (
    {"capacity": 1},
    {"per_key": 1},
    {"throttle": 1, "period": 3600.0},
    {"sequential": "channel"},
    {"sequential": "target"},
)


@on_postgresql
@pytest.mark.parametrize("change", CHANGED)
def test_a_limit_that_is_changed_while_a_claim_waits_for_its_row_holds_for_that_claim(
    instance: Instance, change: dict[str, Any]
) -> None:
    limit(instance, "root.export", capacity=5)
    first, second = (instance.act(WRITE, channel="root.export", channel_key="a") for _ in range(2))
    assert take(instance) == [first]
    instance.query("INSERT INTO jobcron_start (channel, at) VALUES ('root.export', statement_timestamp())")
    with instance.database.begin() as connection:
        set_limits(connection, "root.export", "a test", {"capacity": None, **change})
        run = instance.start("act")
        waits = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE '%jobcron_channel%'"
        )
        wait_until(lambda: bool(instance.query(waits)), "the run waits for the channel", 60)
    run.communicate(timeout=60)
    assert run.returncode == 0
    assert instance.row(second).status is JobStatus.WAITING
    limit(instance, "root.export", **dict.fromkeys(("capacity", "per_key", "throttle", "period", "sequential")))
    instance.run("act")
    assert instance.row(second).status is JobStatus.COMPLETED


def test_a_job_that_begins_to_wait_after_the_channels_are_locked_is_found(instance: Instance) -> None:
    limit(instance, "root.export", capacity=5)
    job = instance.act(channel="root.export")
    number = instance.row(job).type_id
    with instance.database.begin() as connection:
        held = hold_channels(connection, number, SOMEBODY)
        moved = "UPDATE jobcron_job SET channel = NULL WHERE id = :id"
        connection.execute(text(moved), {"id": job})
        assert [taken.id for taken in claim(connection, number, 10, SOMEBODY, held)] == [job]


def analyze(instance: Instance) -> None:
    """Let PostgreSQL count, as it does by itself; SQLite does not."""
    if instance.database.dialect == "postgresql":
        instance.query("ANALYZE")


def crowd(instance: Instance, channel: str, count: int, key: str = "''") -> None:
    """Commit one job that runs in a channel with one place, and many that wait for it."""
    limit(instance, channel, capacity=1)
    first = instance.act(channel=channel)
    assert take(instance) == [first]
    instance.multiply(first, count, channel=f"'{channel}'", channel_key=key)
    analyze(instance)


@pytest.mark.parametrize("other", [{}, {"channel": "root.mail"}])
def test_the_jobs_of_a_full_channel_keep_no_other_job_of_their_type_waiting(
    instance: Instance, other: dict[str, Any]
) -> None:
    limit(instance, "root.mail", capacity=3)
    crowd(instance, "root.export", 500)
    job = instance.act(**other)
    assert take(instance) == [job]


@on_postgresql
@pytest.mark.parametrize(
    "change",
    [
        "scheduled_start = now() + interval '1 hour'",
        "lease_expires = now() + interval '1 hour'",
        "channel = 'root.other'",
    ],
)
@pytest.mark.parametrize("limits", [LIMITS, frozenset[str]()])
def test_a_job_that_was_postponed_leased_or_moved_while_it_was_looked_for_is_not_claimed(
    instance: Instance, change: str, limits: frozenset[str]
) -> None:
    limit(instance, "root.export", capacity=1)
    job = instance.act(channel="root.export")
    ((number,),) = instance.query("SELECT type FROM jobcron_job")
    # Whoever counts what runs waits here, after the statement has seen the job as it was.
    instance.query("ALTER TABLE jobcron_channel RENAME TO counted")
    instance.query(
        "CREATE VIEW jobcron_channel AS SELECT * FROM counted "
        "WHERE (SELECT pg_advisory_xact_lock_shared(14)::text) IS NOT NULL"
    )
    with ThreadPoolExecutor() as pool, instance.database.begin() as claiming:
        held = Held("\nroot.export\n", limits)
        claimed = functools.partial(claim, claiming, number, 10, SOMEBODY, held)
        with instance.database.begin() as gate:
            gate.execute(text("SELECT pg_advisory_xact_lock(14)"))
            found = pool.submit(claimed)
            waits = (
                "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database "
                "WHERE datname = current_database() AND locktype = 'advisory' AND objid = 14 AND NOT granted"
            )
            wait_until(lambda: bool(instance.query(waits)), "the claim waits")
            instance.query(f"UPDATE jobcron_job SET {change}")
        assert found.result(30) == []
    assert instance.row(job).status is JobStatus.WAITING


def test_a_claim_beside_a_full_channel_does_not_read_all_of_its_jobs(instance: Instance) -> None:
    limit(instance, "root.mail", capacity=3)
    crowd(instance, "root.export", 300)
    parameters = {
        "type": instance.query("SELECT type FROM jobcron_job LIMIT 1")[0][0],
        "batch": 10,
        "section": "act",
        "channel": "",
        "gone": "",
        "held": "\nroot.export\nroot.mail\n",
        "lease_seconds": 60,
        "claimed_by": "me",
        "crash_limit": 3,
    }
    instance.act(channel="root.mail", priority=20)

    def costs() -> dict[str, float]:
        names = ("claim_limited", *QUICK, "lock_channels", "tick_limited", "claim", "dead")
        return {name: statement_cost(instance, name, **parameters) for name in names}

    few = costs()
    instance.multiply(1, 5000, channel="'root.export'")
    analyze(instance)
    many = costs()
    assert all(many[name] < 2 * few[name] + 300 for name in few), (few, many)


def test_in_an_analyzed_table_no_claim_in_channels_reads_jobs_that_are_over(instance: Instance) -> None:
    limit(instance, "root.export", capacity=2)
    job = instance.act(channel="root.export")
    instance.multiply(job, 20, channel="'root.export'")
    asked = {"section": "act", "channel": "root.export", "gone": "", "held": "\nroot.export\n", "batch": 10}
    asked |= {"lease_seconds": 60, "claimed_by": "me", "crash_limit": 3, "id": job}
    kind = instance.query("SELECT type FROM jobcron_job LIMIT 1")[0][0]

    def costs_beside(more: int) -> dict[str, float]:
        ended = {"status": "2", "date_finished": "CURRENT_TIMESTAMP"}
        instance.multiply(job, more, channel="'root.export'", **ended)
        instance.query("ANALYZE")
        instance.database.close()  # SQLite reads the statistics when it connects
        names = (
            "claim_limited",
            *QUICK,
            "lock_channels",
            "claim_one_limited",
            "tick_limited",
            "dead_limited",
            "turns",
        )
        return {name: statement_cost(instance, name, type=kind, **asked) for name in names}

    few, many = costs_beside(1_000), costs_beside(11_000)
    assert all(many[name] < 2 * few[name] + 300 for name in few), (few, many)


def test_a_dead_job_leaves_its_place_when_its_lease_is_over(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    dead, waiting = instance.act(channel="root.export"), instance.act(channel="root.export")
    assert take_all(instance) == [dead]
    instance.end_lease(dead)
    assert take(instance) == [dead]  # it is taken over first, into its own place
    assert take_all(instance) == []
    instance.query("UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = :id", id=dead)
    assert take_all(instance) == [waiting]


def test_a_dead_job_whose_place_was_taken_is_taken_over_when_there_is_one_again(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    instance.run("act")
    dead = instance.act(channel="root.export")
    assert take_all(instance) == [dead]
    instance.end_lease(dead)
    other = instance.act(channel="root.export")
    instance.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = "
        f"{far(instance)}, claimed_by = 'x', date_started = date_created WHERE id = :id",
        id=other,
    )
    assert take_all(instance) == []
    assert not has_work(instance)
    instance.end_lease(other)
    assert take(instance) in ([dead], [other])


def far(instance: Instance) -> str:
    """Return an SQL expression of a time an hour from now."""
    if instance.database.dialect == "postgresql":
        return "statement_timestamp() + interval '1 hour'"
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now', '1 hour')"


def test_what_a_run_that_is_over_has_left_is_taken_over_although_it_fills_the_channel(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    job = instance.act(channel="root.export")
    assert take_all(instance, Claimant(GONE, 300.0)) == [job]
    assert take_all(instance) == []
    assert take(instance, claimant=SOMEBODY._replace(gone=(GONE,))) == [job]
    assert instance.row(job).lease_token == 2


def test_a_cancelled_job_leaves_its_place_at_once(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    first, second = instance.act(channel="root.export"), instance.act(channel="root.export")
    assert take_all(instance) == [first]
    with instance.session() as session:
        ActJob.get(first, session=session).cancel()
    assert take_all(instance) == [second]


def test_the_jobs_of_a_section_run_in_its_channel(instance: Instance) -> None:
    instance.configure(sections=SECTIONS.replace("[act]\n", "[act]\nchannel: root.act\n"))
    limit(instance, "root.act", capacity=1)
    running, waiting, own = instance.act(), instance.act(WRITE), instance.act(WRITE, channel="root.own")
    elsewhere = SOMEBODY._replace(channel="root.act")
    assert take(instance, claimant=elsewhere) == [running]
    assert instance.row(running).channel == "root.act"
    instance.run("act")
    assert [job for job, *_ in instance.ledger()] == [own]
    instance.command("run", "act")  # in a process of its own, which notes what its code says
    assert not took_the_full_path(instance, "act")
    assert (has_work(instance, "root.act"), has_work(instance)) == (False, True)
    instance.query("UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = :id", id=running)
    assert has_work(instance, "root.act")
    instance.run("act")
    assert [job for job, *_ in instance.ledger()] == [own, waiting]


def test_a_source_that_finds_its_jobs_itself_keeps_to_the_capacity(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    with instance.session() as session:
        jobs = [
            OwnReadyJob.create(instance.foo(session), session=session, channel="root.export").job.id
            for _ in range(2)
        ]
    assert take(instance, job_class=OwnReadyJob) == jobs[:1]
    instance.run("own_ready")
    assert numbers(instance, JobStatus.WAITING) == jobs[1:]
    instance.end_lease(jobs[0])
    instance.run("own_ready")
    assert numbers(instance, JobStatus.COMPLETED) == jobs


@on_postgresql
def test_a_source_of_several_types_holds_the_channels_of_one_type_at_a_time(instance: Instance) -> None:
    limit(instance, "root.a", capacity=5)
    limit(instance, "root.z", capacity=5)
    instance.act(channel="root.z")
    with instance.session() as session:
        job = OwnReadyJob.create(instance.foo(session), session=session, channel="root.a").job.id
    (first, second) = instance.query("SELECT id FROM jobcron_type ORDER BY id LIMIT 2")
    instance.query(
        "INSERT INTO jobcron_source (name, type, own_iter_ready) VALUES ('fooapp.OwnReadyJob', :first, true)",
        first=first[0],
    )
    assert first < second
    lock = "SELECT name FROM jobcron_channel WHERE name = :name FOR NO KEY UPDATE NOWAIT"
    with instance.database.begin() as connection:  # as another section's claim, which locks them by their names
        connection.execute(text(lock), {"name": "root.a"})
        run = instance.start("own_ready")
        waits = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE '%jobcron_channel%'"
        )
        wait_until(lambda: bool(instance.query(waits)), "the run waits for root.a")
        connection.execute(text(lock), {"name": "root.z"})
    run.communicate(timeout=60)
    assert instance.row(job).status is JobStatus.COMPLETED


def test_a_tick_finds_work_only_where_there_is_room(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    instance.run("act")
    assert not has_work(instance)
    first = instance.act(channel="root.export")
    assert has_work(instance)
    instance.run("act")
    instance.act(channel="root.export")
    assert len(take(instance)) == 1
    instance.act(channel="root.export")
    assert not has_work(instance)
    instance.act(channel="root.mail")
    assert has_work(instance)
    assert instance.row(first).status is JobStatus.COMPLETED


def test_a_limit_that_is_changed_holds_for_the_next_claim(instance: Instance) -> None:
    jobs = [instance.act(channel="root.export") for _ in range(4)]
    limit(instance, "root.export", capacity=1)
    assert take_all(instance) == jobs[:1]
    limit(instance, "root.export", capacity=3)
    assert take_all(instance) == jobs[1:3]
    limit(instance, "root", capacity=0)
    limit(instance, "root.export", capacity=None)
    assert take_all(instance) == []
    limit(instance, "root", capacity=None)
    assert take_all(instance) == jobs[3:]


def test_a_paused_channel_and_those_below_it_start_nothing(instance: Instance) -> None:
    settings = load_settings(str(instance.path))
    instance.run("act")
    jobs = [instance.act(channel="root.export.eu"), instance.act(channel="root.mail")]
    with instance.database.begin() as connection:
        pause(connection, settings, Scope.CHANNEL, "root.export")
    assert take_all(instance) == jobs[1:]
    assert not has_work(instance)
    with instance.database.begin() as connection:
        unpause(connection, Scope.CHANNEL, "root.export")
    assert has_work(instance)
    assert take_all(instance) == jobs[:1]


@pytest.mark.feature("OCQ-10")
def test_so_many_jobs_of_one_key_run_at_once(instance: Instance) -> None:
    limit(instance, "root.export", per_key=2)
    jobs = {key: [instance.act(channel="root.export.eu", channel_key=key) for _ in range(4)] for key in ("a", "b")}
    assert sorted(take_all(instance)) == sorted([*jobs["a"][:2], *jobs["b"][:2]])


def test_thousands_of_jobs_of_one_key_keep_no_other_key_waiting(instance: Instance) -> None:
    limit(instance, "root.export", per_key=1)
    first = instance.act(channel="root.export", channel_key="a")
    assert take(instance) == [first]
    instance.multiply(first, 500, channel="'root.export'", channel_key="'a'")
    other = instance.act(channel="root.export", channel_key="b")
    assert take_all(instance) == [other]


@pytest.mark.feature("OCQ-10")
def test_so_many_jobs_start_in_any_period(instance: Instance) -> None:
    instance.run("act")
    limit(instance, "root.export", throttle=2, period=3600.0)
    jobs = [instance.act(WRITE, channel="root.export.eu") for _ in range(4)]
    instance.run("act")
    assert [job for job, *_ in instance.ledger()] == jobs[:2]  # although they have ended
    assert not has_work(instance)
    move_starts(instance, 1801)
    instance.run("act")
    assert len(instance.ledger()) == 2
    move_starts(instance, 1801)
    assert has_work(instance)
    instance.run("act")
    assert [job for job, *_ in instance.ledger()] == jobs
    assert len(instance.query("SELECT id FROM jobcron_start")) == 2  # those that are past are forgotten


def test_another_attempt_is_another_start(instance: Instance) -> None:
    limit(instance, "root.export", throttle=2, period=3600.0)
    job = instance.act(("raise", "retry"), channel="root.export")
    instance.run("act")
    instance.make_due()
    instance.run("act")  # the second attempt
    assert instance.row(job).status is JobStatus.FAILED
    waiting = instance.act(channel="root.export")
    assert take_all(instance) == []
    move_starts(instance, 3601)
    assert take_all(instance) == [waiting]


def test_a_job_that_is_taken_over_starts_once_more(instance: Instance) -> None:
    limit(instance, "root.export", throttle=2, period=3600.0)
    job = instance.act(channel="root.export")
    assert take_all(instance) == [job]
    instance.end_lease(job)
    assert take_all(instance) == [job]
    instance.end_lease(job)
    assert take_all(instance) == []
    assert instance.row(job).lease_token == 2


def test_a_dead_job_that_its_source_finds_again_starts_once_more_not_twice(instance: Instance) -> None:
    limit(instance, "root.export", throttle=2, period=3600.0)
    with instance.session() as session:
        job = OwnReadyJob.create(instance.foo(session), session=session, channel="root.export").job.id
    assert take(instance, job_class=OwnReadyJob) == [job]
    instance.end_lease(job)
    instance.run("own_ready")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert len(instance.query("SELECT id FROM jobcron_start")) == 2


def move_starts(instance: Instance, seconds: int) -> None:
    """Move the starts of jobs into the past."""
    earlier = {
        "postgresql": f"at - interval '{seconds} seconds'",
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', at, '-{seconds} seconds')",
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_start SET at = {earlier}")


def test_a_job_in_a_channel_has_its_target_as_key(instance: Instance) -> None:
    limit(instance, "root.export", per_key=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(2)]
        jobs = [ActJob.create(foo, session=session, channel="root.export").job.id for foo in (*foos, *foos)]
    assert take_all(instance)[:2] == jobs[:2]
    assert numbers(instance, JobStatus.WAITING) == jobs[2:]


def test_a_job_in_the_channel_of_its_section_has_its_target_as_key_too(instance: Instance) -> None:
    limit(instance, "root.act", per_key=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(2)]
        jobs = [ActJob.create(foo, session=session).job.id for foo in (*foos, *foos)]
    assert take_all(instance, SOMEBODY._replace(channel="root.act")) == jobs[:2]
    assert numbers(instance, JobStatus.WAITING) == jobs[2:]


def test_a_class_says_its_channel_and_a_job_another_one(instance: Instance) -> None:
    with instance.session() as session:
        jobs = [
            Exporting.create(session=session).job,
            Exporting.create(session=session, channel="root.mail", channel_key="7").job,
            *(session.get_one(Job, number) for number in Exporting.createMultiple([{}], session=session)),
        ]
        session.flush()
        found = [(job.channel, job.channel_key) for job in jobs]
    assert found == [("root.export", ""), ("root.mail", "7"), ("root.export", "")]


@pytest.mark.parametrize("name", ["export", "root.", "root.a b", "root..a", 7, "root." + "x" * 200])
def test_a_name_that_no_channel_can_have_is_refused_when_a_job_is_made(instance: Instance, name: object) -> None:
    with (
        instance.session() as session,
        pytest.raises(
            InvalidJobData, match=r"expected channel of Exporting to be the name of a channel such as root\.export"
        ),
    ):
        Exporting.create(session=session, channel=name)


def test_a_run_without_channels_sends_the_same_statements_as_before(instance: Instance) -> None:
    instance.run("act")
    for _ in range(3):
        instance.act(WRITE)
    with noted_statements() as noted:
        instance.run("act")
    texts = [text for text, _ in noted]
    assert not [text for text in texts if "jobcron_channel" in text]
    assert not [text for text in texts if re.search(r"\bshut\b", text)]
