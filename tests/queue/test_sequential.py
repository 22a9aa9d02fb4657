"""Sequential channels: jobs begin in turn, and one that has begun keeps its turn until it has ended well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

from channel_jobs import SOMEBODY, limit, take, take_all
from fooapp import ActJob, DoFooJob, OwnReadyJob
from instances import SECTIONS, Instance, wait_until
from jobcron import JobStatus, load_settings
from jobcron.jobs.moves.channels import pass_over
from jobcron.operations.pauses import Scope, pause, unpause
from jobcron.queue import tick
from query_cost import statement_cost
from races import make_queue, race
from runner_processes import numbers
from ticks import took_the_full_path

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WRITE = ("write", "effect")
FAIL = ("raise", "value")
RETRY = ("raise", "retry")


def export(instance: Instance, *arguments: Any, **options: Any) -> int:
    """Commit a job in the channel root.export."""
    return instance.act(*arguments, **{"channel": "root.export", **options})


def in_order(instance: Instance, **limits: Any) -> None:
    """Let the channel root.export keep its order."""
    limit(instance, "root.export", **{"sequential": "channel", **limits})


def moved(instance: Instance, job: int, move: str) -> None:
    """Move a job by hand."""
    with instance.session() as session:
        getattr(ActJob.get(job, session=session), move)()


def has_work(instance: Instance, channel: str | None = None, job_class: type[Any] = ActJob) -> bool:
    """Return what a tick says of a section that runs a class; a run of it was recorded before."""
    return bool(tick.with_work(instance.url, None, {"act": job_class.type_name}, 600.0, {}, {"act": channel}))


@pytest.mark.feature("OCQ-10")
def test_the_jobs_of_a_sequential_channel_run_one_after_the_other_in_their_order(instance: Instance) -> None:
    make_queue(instance, 60)
    instance.query(
        "UPDATE jobcron_job SET channel = CASE WHEN id % 2 = 0 THEN 'root.export.eu' ELSE 'root.export' END"
    )
    in_order(instance)
    race(instance, "drain", 4)
    rows = sorted(instance.rows(), key=lambda row: row.id)
    assert {row.status for row in rows} == {JobStatus.COMPLETED}
    times = [(row.date_started, row.date_finished) for row in rows]
    assert all(before[1] <= after[0] for before, after in zip(times, times[1:], strict=False))  # type: ignore[operator]


@pytest.mark.parametrize("capacity", [None, 5])
def test_one_job_runs_at_a_time_whatever_the_capacity_is(instance: Instance, capacity: int | None) -> None:
    jobs = [export(instance) for _ in range(3)]
    in_order(instance, capacity=capacity)
    assert take_all(instance) == jobs[:1]
    in_order(instance, capacity=0)
    instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=jobs[0])
    assert take_all(instance) == []


def test_a_job_that_has_failed_holds_up_the_others_until_it_has_ended_well(instance: Instance) -> None:
    in_order(instance)
    first, second, other = export(instance, FAIL), export(instance, WRITE), export(instance, channel="root.mail")
    instance.run("act")
    assert instance.row(first).status is JobStatus.FAILED
    assert (instance.row(second).status, instance.row(other).status) == (JobStatus.WAITING, JobStatus.COMPLETED)
    assert not has_work(instance)
    moved(instance, first, "complete")
    assert has_work(instance)
    instance.run("act")
    assert [job for job, *_ in instance.ledger()] == [second]


def test_a_job_that_waits_for_its_retry_keeps_its_turn_and_is_not_held_up_itself(instance: Instance) -> None:
    in_order(instance)
    first, second = export(instance, ("raise", "retryable"), WRITE), export(instance, WRITE, priority=1)
    instance.query("UPDATE jobcron_job SET priority = 0 WHERE id = :id", id=first)
    instance.run("act")
    assert instance.row(first).attempt_count == 1
    instance.query("UPDATE jobcron_job SET priority = 99 WHERE id = :id", id=first)
    assert take_all(instance) == []
    assert not has_work(instance)
    instance.make_due()
    assert has_work(instance)
    assert take_all(instance) == [first]
    moved(instance, first, "cancel")
    assert take_all(instance) == [second]


def test_a_job_far_behind_in_line_is_found_when_it_is_its_turn(instance: Instance) -> None:
    in_order(instance)
    first = export(instance, ("raise", "retryable"))
    instance.run("act")
    instance.query("UPDATE jobcron_job SET priority = 50 WHERE id = :id", id=first)
    instance.make_due()
    instance.multiply(first, 300, channel="'root.export'", priority="1")
    assert take_all(instance) == [first]


@pytest.mark.parametrize("move", ["suspend", "fail", "queue"])
def test_a_job_that_was_set_aside_after_its_beginning_keeps_its_turn(instance: Instance, move: str) -> None:
    in_order(instance)
    first, second = export(instance), export(instance)
    assert take_all(instance) == [first]
    moved(instance, first, move)
    if move != "queue":
        assert take_all(instance) == []
        moved(instance, first, "queue")
    instance.query("UPDATE jobcron_job SET priority = 99 WHERE id = :id", id=first)
    assert take_all(instance) == [first]
    moved(instance, first, "complete")
    assert take_all(instance) == [second]


def test_a_dead_job_keeps_its_turn_until_it_is_taken_over(instance: Instance) -> None:
    in_order(instance)
    dead = export(instance)
    with instance.session() as session:
        other = OwnReadyJob.create(instance.foo(session), session=session, channel="root.export").job.id
    assert take_all(instance) == [dead]
    instance.end_lease(dead)
    assert take_all(instance, job_class=OwnReadyJob) == []
    assert take(instance) == [dead]
    moved(instance, dead, "complete")
    assert take_all(instance, job_class=OwnReadyJob) == [other]


def test_a_job_that_is_retried_by_hand_goes_first(instance: Instance) -> None:
    in_order(instance)
    first, second = export(instance, FAIL), export(instance, priority=1, scheduled_start=None)
    instance.query("UPDATE jobcron_job SET priority = 20 WHERE id = :id", id=second)
    instance.run("act")
    instance.query("UPDATE jobcron_job SET priority = 1 WHERE id = :id", id=second)
    moved(instance, first, "queue")
    assert take_all(instance) == [first]


def test_the_order_is_kept_for_each_target(instance: Instance) -> None:
    limit(instance, "root.export", sequential="target")
    failing = export(instance, FAIL, channel_key="a")
    same, other = export(instance, WRITE, channel_key="a"), export(instance, WRITE, channel_key="b")
    none = [export(instance, WRITE) for _ in range(2)]
    instance.run("act")
    assert numbers(instance, JobStatus.WAITING) == [same]
    assert numbers(instance, JobStatus.COMPLETED) == [other, *none]
    moved(instance, failing, "complete")
    export(instance, channel_key="a")
    assert take_all(instance) == [same]


def test_a_channel_that_begins_to_keep_its_order_passes_over_what_has_failed_before(instance: Instance) -> None:
    export(instance, FAIL)
    instance.run("act")
    in_order(instance)
    job = export(instance)
    assert take_all(instance) == [job]


def test_the_jobs_of_a_section_keep_the_order_of_its_channel(instance: Instance) -> None:
    instance.configure(sections=SECTIONS.replace("[act]\n", "[act]\nchannel: root.export\n"))
    in_order(instance)
    first, second = instance.act(FAIL), instance.act(WRITE)
    elsewhere = SOMEBODY._replace(channel="root.export")
    instance.command("run", "act", expect=0)
    assert instance.row(first).status is JobStatus.FAILED
    assert take_all(instance, elsewhere) == []
    assert not has_work(instance, "root.export")
    assert not took_the_full_path(instance, "act")
    moved(instance, first, "complete")
    assert has_work(instance, "root.export")
    assert take_all(instance, elsewhere) == [second]


def test_a_source_that_finds_its_jobs_itself_keeps_the_order(instance: Instance) -> None:
    in_order(instance)
    failing = export(instance, FAIL)
    with instance.session() as session:
        job = OwnReadyJob.create(instance.foo(session), session=session, channel="root.export").job.id
    instance.run("act")
    instance.run("own_ready")
    assert numbers(instance, JobStatus.WAITING) == [job]
    moved(instance, failing, "complete")
    instance.run("own_ready")
    assert numbers(instance, JobStatus.WAITING) == []


@pytest.mark.parametrize("sequential", ["channel", "target"])
def test_after_a_skip_no_job_begins_beside_one_that_runs(instance: Instance, sequential: str) -> None:
    limit(instance, "root.export", sequential=sequential)
    first, second = (export(instance, channel_key="a") for _ in range(2))
    assert take_all(instance) == [first]
    with instance.database.begin() as connection:
        pass_over(connection, "root.export")
    assert take_all(instance) == []
    moved(instance, first, "fail")
    with instance.database.begin() as connection:
        pass_over(connection, "root.export")
    assert take_all(instance) == [second]


def test_a_job_whose_turn_it_is_waits_while_its_section_is_paused(instance: Instance) -> None:
    settings = load_settings(str(instance.path))
    in_order(instance)
    first = export(instance, ("raise", "retryable"))
    instance.run("act")
    instance.make_due()
    act = SOMEBODY._replace(section="act")
    with instance.database.begin() as connection:
        pause(connection, settings, Scope.SECTION, "act")
    assert take_all(instance, act) == []
    with instance.database.begin() as connection:
        unpause(connection, Scope.SECTION, "act")
    assert take_all(instance, act) == [first]


def frozzle(instance: Instance, **options: Any) -> int:
    """Commit a job of another type in the channel root.export."""
    with instance.session() as session:
        values = {"channel": "root.export", **options}
        return int(DoFooJob.create(instance.foo(session), session=session, **values).job.id)


@pytest.mark.parametrize("sequential", ["channel", "target"])
@pytest.mark.parametrize("below", ["", ".eu"])
def test_no_job_begins_before_one_of_another_type_that_comes_first(
    instance: Instance, sequential: str, below: str
) -> None:
    instance.run("act")
    limit(instance, "root.export", sequential=sequential)
    first = export(instance, channel_key="a", channel=f"root.export{below}")
    second, third = frozzle(instance, channel_key="a"), export(instance, channel_key="a")
    assert take_all(instance, job_class=DoFooJob) == []
    assert not has_work(instance, job_class=DoFooJob)
    assert take_all(instance) == [first]
    moved(instance, first, "complete")
    assert take_all(instance) == []
    assert not has_work(instance)
    assert has_work(instance, job_class=DoFooJob)
    assert take_all(instance, job_class=DoFooJob) == [second]
    instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=second)
    assert take_all(instance) == [third]


@pytest.mark.parametrize("other", [{"channel_key": "b"}, {"channel": "root.mail"}, {"channel": None}])
def test_jobs_of_other_types_elsewhere_or_with_another_key_hold_up_nothing(
    instance: Instance, other: dict[str, Any]
) -> None:
    limit(instance, "root.export", sequential="target")
    export(instance, **{"channel_key": "a", **other})
    second = frozzle(instance, channel_key="a")
    assert take_all(instance, job_class=DoFooJob) == [second]


def test_the_order_of_two_types_is_that_of_priority_and_due_time(instance: Instance) -> None:
    in_order(instance)
    later, first = export(instance, priority=20), frozzle(instance, priority=5)
    assert take_all(instance) == []
    assert take_all(instance, job_class=DoFooJob) == [first]
    instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=first)
    frozzle(instance, priority=5, scheduled_start=datetime.now(UTC) + timedelta(hours=1))
    assert take_all(instance) == [later]


@pytest.mark.parametrize(
    ("scope", "name"),
    [(Scope.QUEUE, "slow"), (Scope.TYPE, "foo_job.ACT"), (Scope.CHANNEL, "root.export.eu"), (None, "")],
)
def test_a_job_that_may_not_begin_itself_holds_up_no_other_type(
    instance: Instance, scope: Scope | None, name: str
) -> None:
    in_order(instance)
    first, second = export(instance, queue_name="slow", channel="root.export.eu"), frozzle(instance)
    assert take_all(instance, job_class=DoFooJob) == []
    if scope is None:
        limit(instance, "root.export.eu", capacity=0)
    else:
        with instance.database.begin() as connection:
            pause(connection, load_settings(str(instance.path)), scope, name)
    assert take_all(instance, job_class=DoFooJob) == [second]
    assert take_all(instance) == []
    assert instance.row(first).status is JobStatus.WAITING


def test_a_job_of_another_type_that_waits_for_its_retry_keeps_its_turn(instance: Instance) -> None:
    in_order(instance)
    first = export(instance, ("raise", "retryable"))
    instance.run("act")
    instance.make_due()
    second = frozzle(instance, priority=1)
    assert take_all(instance, job_class=DoFooJob) == []
    assert take_all(instance) == [first]
    moved(instance, first, "complete")
    assert take_all(instance, job_class=DoFooJob) == [second]


def test_a_source_that_finds_its_jobs_itself_keeps_the_order_of_all_types(instance: Instance) -> None:
    in_order(instance)
    first = export(instance, WRITE)
    with instance.session() as session:
        job = OwnReadyJob.create(instance.foo(session), session=session, channel="root.export").job.id
    instance.run("own_ready")
    assert numbers(instance, JobStatus.WAITING) == [first, job]
    instance.run("act")
    instance.run("own_ready")
    assert numbers(instance, JobStatus.WAITING) == []


def test_a_job_below_an_order_that_stands_still_holds_up_no_other_type(instance: Instance) -> None:
    limit(instance, "root", sequential="target")
    limit(instance, "root.a", sequential="channel")
    export(instance, FAIL, channel="root.a", channel_key="x")
    instance.run("act")
    export(instance, channel="root.a", channel_key="y")
    other = frozzle(instance, channel="root.b", channel_key="y")
    same = export(instance, channel="root.b", channel_key="z")
    assert take_all(instance, job_class=DoFooJob) == [other]
    assert take_all(instance) == [same]


def test_a_tick_finds_no_work_while_a_job_of_another_type_comes_before_those_of_the_section(
    instance: Instance,
) -> None:
    instance.run("act")
    in_order(instance)
    first, second = export(instance), frozzle(instance, channel=None)
    mine = SOMEBODY._replace(channel="root.export")
    assert take_all(instance, mine, DoFooJob) == []
    assert not has_work(instance, "root.export", DoFooJob)
    instance.query("UPDATE jobcron_job SET priority = 1 WHERE id = :id", id=second)
    assert has_work(instance, "root.export", DoFooJob)
    assert take_all(instance, mine, DoFooJob) == [second]
    assert take_all(instance) == []
    assert instance.row(first).status is JobStatus.WAITING


@on_postgresql
@pytest.mark.parametrize("section", [None, "root.export"])
def test_a_job_of_another_type_that_came_while_a_claim_waited_for_the_lock_goes_first(
    instance: Instance, section: str | None
) -> None:
    limit(instance, "root.export", sequential="target")
    own = None if section else "root.export"
    free = frozzle(instance, channel=own, channel_key="z", priority=50)
    taken: list[int] = []
    mine = SOMEBODY._replace(channel=section or "")
    claiming = Thread(target=lambda: taken.extend(take(instance, 10, mine, DoFooJob)))
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with instance.database.begin() as connection:
        connection.execute(text("SELECT name FROM jobcron_channel FOR UPDATE"))
        claiming.start()
        wait_until(lambda: instance.query(waits), "the claim to wait")
        export(instance, channel_key="a")
        frozzle(instance, channel=own, channel_key="a")
    claiming.join(30)
    assert taken == [free]


def test_a_worker_runs_the_jobs_of_two_types_in_one_order(instance: Instance) -> None:
    in_order(instance)
    jobs = [number for _ in range(6) for number in (export(instance), frozzle(instance), frozzle(instance))]
    instance.command("worker", "act", "do_foo", "--processes", "4", "--poll", "0.05", "--until-empty")
    rows = sorted(instance.rows(), key=lambda row: row.id)
    assert [row.id for row in rows] == jobs
    assert {row.status for row in rows} == {JobStatus.COMPLETED}
    times = [(row.date_started, row.date_finished) for row in rows]
    assert all(before[1] <= after[0] for before, after in zip(times, times[1:], strict=False))  # type: ignore[operator]


LOCK = text("SELECT id FROM jobcron_job WHERE id = :id FOR UPDATE")


@on_postgresql
@pytest.mark.parametrize("sequential", ["channel", "target"])
@pytest.mark.parametrize(("section", "other"), [("", None), ("", "root.mail"), ("channel: root.export\n", None)])
def test_while_the_first_job_is_locked_none_behind_it_begins_and_others_do(
    instance: Instance, sequential: str, section: str, other: str | None
) -> None:
    instance.configure(sections=SECTIONS.replace("[act]\n", f"[act]\n{section}"))
    limit(instance, "root.export", sequential=sequential)
    own = None if section else "root.export"
    first, second = (export(instance, WRITE, channel=own, channel_key="a") for _ in range(2))
    free = (
        [export(instance, WRITE, channel="root.free"), export(instance, WRITE, channel=other)]
        if not section
        else []
    )
    free += [export(instance, WRITE, channel=own, channel_key="b")] if sequential == "target" else []
    with instance.database.begin() as connection:
        connection.execute(LOCK, {"id": first})
        run = instance.start("act")
        run.communicate(timeout=60)
        assert run.returncode == 0
        assert sorted(job for job, *_ in instance.ledger()) == free
    instance.run("act")
    assert [job for job, *_ in instance.ledger()][len(free) :] == [first, second]


def cost_nothing(instance: Instance, job: int, names: list[str], make: Callable[[int], None]) -> None:
    """Check that statements about a job, in analyzed tables, read no more rows beside 12,000 jobs than beside 100.

    Args:
        instance: the instance.
        job: the job, which waits in root.export.
        names: the statements.
        make: commits so many jobs.
    """
    parameters = {
        "type": instance.row(job).type_id,
        "batch": 10,
        "section": "act",
        "channel": "",
        "gone": "",
        "held": "\nroot.export\n",
        "lease_seconds": 60,
        "claimed_by": "me",
        "crash_limit": 3,
        "id": job,
    }

    def costs_beside(more: int) -> dict[str, float]:
        make(more)
        instance.query("ANALYZE")
        instance.database.close()  # SQLite reads the statistics when it connects
        return {name: statement_cost(instance, name, **parameters) for name in names}

    few, many = costs_beside(100), costs_beside(12_000)
    assert all(many[name] < 2 * few[name] + 300 for name in few), (few, many)


def test_old_failures_elsewhere_cost_a_claim_nothing(instance: Instance) -> None:
    in_order(instance)
    first = export(instance, FAIL)
    instance.run("act")
    failed = {"channel": "'root.mail'", "status": "3", "date_finished": "CURRENT_TIMESTAMP"}
    names = ["claim_limited", "claim_limited+lanes+turns", "claim_limited+lanes+turns+halts", "tick_limited"]
    cost_nothing(instance, first, names, lambda more: instance.multiply(first, more, **failed))


@pytest.mark.parametrize("elsewhere", ["root.mail", "root.export.shut"])
def test_many_jobs_of_another_type_elsewhere_in_front_cost_a_claim_nothing(
    instance: Instance, elsewhere: str
) -> None:
    in_order(instance)
    limit(instance, "root.export.shut", capacity=0)
    job, other = export(instance), frozzle(instance)
    in_front = {"channel": f"'{elsewhere}'", "priority": "1"}
    names = ["claim_limited", "claim_one_limited", "tick_limited", "ahead"]
    cost_nothing(instance, job, names, lambda more: instance.multiply(other, more, **in_front))
    assert take_all(instance) == [job]


@pytest.mark.parametrize("sequential", ["channel", "target"])
def test_many_jobs_of_another_type_cost_a_claim_nothing(instance: Instance, sequential: str) -> None:
    limit(instance, "root.export", sequential=sequential)
    job, other = export(instance, channel_key="a"), frozzle(instance, channel_key="a")
    behind = {"channel": "'root.export'", "channel_key": "'a'" if sequential == "channel" else "CAST(n AS text)"}
    quick = "claim_limited+lanes+turns+mixed" + ("+halts" if sequential == "channel" else "")
    names = ["claim_limited", quick, "claim_one_limited", "tick_limited", "lock_channels", "ahead"]
    cost_nothing(instance, job, names, lambda more: instance.multiply(other, more, **behind))
