"""Jobs go to Celery as soon as they are committed; whatever happens on the way, each takes effect once (LP-32)."""

from __future__ import annotations

import time

import celery
import pytest

from brokers import RabbitMQ, Redis
from celery_workers import (
    celery_worker,
    completed,
    configure,
    dispatcher,
    each_once,
    hand_out_again,
    offers_to,
    purge,
    waiting,
)
from fooapp import ActJob, DoFooJob
from hosts import CLUSTER
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.dispatch import dispatchers
from mute_server import MuteServer

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""For what is between the broker and Celery: the databases have no part in it."""

WITH_BOTH_BROKERS = pytest.mark.parametrize("offering", ["rabbitmq", "redis"], indirect=True)

DONE = ("write", "done")


def tick(instance: Instance) -> float:
    """Run the section as cron does; return how long it took, in seconds."""
    started = time.monotonic()
    instance.command("run", "act")
    return time.monotonic() - started


@pytest.mark.feature("LP-32")
def test_a_job_that_is_committed_runs_at_once_in_a_worker_of_celerys(offering: Instance) -> None:
    with celery_worker(offering, "--concurrency", "1") as worker:
        first = offering.act(DONE)
        completed(offering, first)
        started = time.monotonic()
        numbers = [offering.act(DONE) for _ in range(5)]
        completed(offering, *numbers)
        assert time.monotonic() - started < 30  # a tick would be a minute away
        assert worker.stop() == 0
    each_once(offering, first, *numbers)
    ((counted,),) = offering.query("SELECT sum(completed) FROM jobcron_run WHERE name = 'act'")
    assert counted == 6


@ON_POSTGRESQL
@pytest.mark.feature("LP-32")
def test_nothing_is_sent_for_a_transaction_that_is_rolled_back_or_a_job_that_is_not_due(
    offering: Instance,
) -> None:
    with offering.database.session() as session:
        ActJob.create(offering.foo(session), session=session).celeryRunOnCommit()
        session.rollback()
    number = offering.act(DONE)
    assert waiting(dispatcher().section) == 1
    with celery_worker(offering, "--concurrency", "1"):
        completed(offering, number)
        offering.act(("raise", "retryable"))  # due again in an hour
        wait_until(lambda: offering.rows()[-1].attempt_count == 1, "the attempt")
        assert waiting(dispatcher().section) == 0


@ON_POSTGRESQL
@pytest.mark.feature("LP-32")
def test_a_broker_that_is_down_fails_no_commit_and_once_it_is_back_all_goes_on(
    offering: Instance, rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    with celery_worker(offering, "--concurrency", "1", "-Q", dispatcher().section.offers_in):
        before = offering.act(DONE)
        completed(offering, before)
        with offering.session() as session:  # this queue has no worker
            kept = DoFooJob.create(offering.foo(session), session=session).id
        rabbitmq.kill()
        started = time.monotonic()
        refused = offering.act(DONE)
        assert time.monotonic() - started < 5
        assert "could not be offered to celery" in caplog.text
        assert "guest" not in caplog.text
        tick(offering)
        each_once(offering, before, refused)
        rabbitmq.start()
        after = [offering.act(DONE) for _ in range(3)]  # not into the connection that broke
        completed(offering, *after)
        assert waiting(dispatcher("do_foo").section) == 1
    each_once(offering, before, refused, *after)
    assert offering.row(kept).status is JobStatus.WAITING


@ON_POSTGRESQL
@pytest.mark.feature("LP-32")
def test_a_job_whose_message_is_lost_runs_by_the_next_tick(offering: Instance) -> None:
    number = offering.act(DONE)
    assert purge(dispatcher().section) == 1
    tick(offering)
    each_once(offering, number)


@ON_POSTGRESQL
@WITH_BOTH_BROKERS
@pytest.mark.feature("LP-32")
def test_a_message_that_comes_twice_or_for_a_job_that_cron_has_run_has_no_effect(offering: Instance) -> None:
    by_cron = offering.act(DONE)
    tick(offering)
    number = offering.act(DONE)
    assert dispatcher().offer([number, number, by_cron, 10**12])
    with celery_worker(offering, "--concurrency", "2"):
        completed(offering, number)
        wait_until(lambda: not waiting(dispatcher().section), "the queue to be empty")
        last = offering.act(DONE)
        completed(offering, last)
    each_once(offering, by_cron, number, last)


@ON_POSTGRESQL
@WITH_BOTH_BROKERS
@pytest.mark.feature("LP-32")
def test_a_worker_that_is_killed_while_it_runs_one_job_and_has_fetched_others_loses_none(
    offering: Instance,
) -> None:
    begun = offering.path / "begun"
    with celery_worker(offering, "--concurrency", "1", "--prefetch-multiplier", "4") as worker:
        running = offering.act(("touch", str(begun)), ("sleep", 300), DONE)
        fetched = [offering.act(DONE) for _ in range(3)]
        wait_until(begun.exists, "the job to begin")
        wait_until(lambda: not waiting(dispatcher().section), "the worker to fetch the others")
        worker.kill()
    tick(offering)
    each_once(offering, *fetched)
    with offering.session() as session:
        ActJob.get(running, session=session).metadata["do"] = [DONE]
    offering.end_lease(running)
    tick(offering)
    each_once(offering, running, *fetched)
    assert offering.row(running).crash_count == 1
    hand_out_again()
    with celery_worker(offering, "--concurrency", "1"):
        wait_until(lambda: not waiting(dispatcher().section), "the queue to be empty")
        last = offering.act(DONE)
        completed(offering, last)
    each_once(offering, running, *fetched, last)


@ON_POSTGRESQL
@pytest.mark.feature("LP-32")
def test_redis_does_as_well_and_what_it_forgets_cron_runs(
    instance: Instance, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers_to(instance, redis, monkeypatch)
    with celery_worker(instance, "--concurrency", "1"):
        number = instance.act(DONE)
        completed(instance, number)
    forgotten = instance.act(DONE)
    redis.kill()
    refused = instance.act(DONE)
    redis.start()  # it kept nothing on disk
    tick(instance)
    with celery_worker(instance, "--concurrency", "1"):
        last = instance.act(DONE)
        completed(instance, last)
    each_once(instance, number, forgotten, refused, last)


@ON_POSTGRESQL
@pytest.mark.feature("LP-32")
def test_a_worker_goes_on_when_redis_is_back(
    instance: Instance, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers_to(instance, redis, monkeypatch)
    with celery_worker(instance, "--concurrency", "1"):
        before = instance.act(DONE)
        completed(instance, before)
        redis.kill()
        refused = instance.act(DONE)
        tick(instance)
        each_once(instance, before, refused)
        redis.start()
        after = [instance.act(DONE) for _ in range(3)]
        completed(instance, *after)
    each_once(instance, before, refused, *after)


@ON_POSTGRESQL
def test_a_job_never_runs_in_the_process_that_creates_it_not_even_where_tasks_are_eager(
    offering: Instance,
) -> None:
    theirs = celery.Celery("theirs")
    theirs.conf.task_always_eager = True
    before = celery.current_app._get_current_object()
    theirs.set_current()
    try:
        number = offering.act(DONE)
    finally:
        before.set_current()
    assert offering.row(number).status is JobStatus.WAITING
    assert waiting(dispatcher().section) == 1


@ON_POSTGRESQL
def test_a_broker_that_never_answers_holds_up_one_commit_for_seconds_and_the_next_ones_not_at_all(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MuteServer() as mute:
        configure(instance, mute.url_like("amqp:"))
        monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
        started = time.monotonic()
        numbers = [instance.act(DONE)]
        assert time.monotonic() - started < 10
        started = time.monotonic()
        numbers += [instance.act(DONE) for _ in range(3)]
        assert time.monotonic() - started < 1
    tick(instance)
    each_once(instance, *numbers)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_slow_broker_does_not_hold_up_a_commit_for_each_of_its_jobs(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[object] = []

    def send_slowly(app: object, name: str, args: tuple[object], **options: object) -> None:
        time.sleep(0.2)
        sent.append(args)

    configure(instance, "memory://")
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    monkeypatch.setattr(dispatchers, "COMMIT_SECONDS", 0.5)
    monkeypatch.setattr(celery.Celery, "send_task", send_slowly)
    with instance.session() as session:
        ActJob.createMultiple([instance.foo(session) for _ in range(20)], session=session)
    assert 1 <= len(sent) <= 3
    assert f"it has got {len(sent)} of 20 jobs in time" in caplog.text
    instance.act()
    assert len(sent) <= 3, "it is not asked again at once"


@pytest.mark.feature("LP-32")
def test_a_job_of_a_section_that_runs_on_one_host_at_a_time_is_left_to_cron(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(celery.Celery, "send_task", lambda app, name, args, **options: sent.append(args))
    other = "[do_foo]\nsource_interface: fooapp.IDoFooJobSource\n"
    configure(instance, "memory://", CLUSTER.format(lease="1m", more="") + other)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    with instance.session() as session:
        alone = ActJob.create(instance.foo(session), metadata={"do": [DONE]}, session=session)
        alone.celeryRunOnCommit()
        beside = DoFooJob.create(instance.foo(session), session=session)
        beside.celeryRunOnCommit()
        numbers = alone.job.id, beside.job.id
    assert sent == [(numbers[1],)]
    assert instance.query("SELECT job FROM jobcron_offer") == [(numbers[1],)]
    tick(instance)
    each_once(instance, numbers[0])
