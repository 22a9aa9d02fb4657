"""A process that is told a job's number claims it like any runner, or drops the number (LP-32)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

import dispatchapp
import lanesapp
from channel_jobs import limit
from fooapp import ActJob, DoFooJob
from instances import Instance, wait_until
from jobcron import ConfigurationError, JobStatus
from jobcron.database.runs import typical_seconds
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.dispatch.offers import note_offers
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant, claim_one
from jobcron.runner import _keeper
from jobcron.runner.job_runner import JobRunner
from jobcron.scripts.worker import _number_feed, _stint
from jobcron.scripts.worker.receiver import Receiver, ready_to_receive
from jobcron.settings.instance import load_settings, presented

HOUR = timedelta(hours=1)

ISOLATED = dispatchapp.SECTIONS.replace("[do_foo]", "runner_class: ProcessJobRunner\n\n[do_foo]")


class Told:
    """A receiver in this process, and its instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.settings = load_settings(str(instance.path))
        sections = list(self.settings.sections.values())
        application = ready_to_receive(self.settings, sections)
        dispatchers = Dispatchers(self.settings)
        self.receiver = Receiver(sections, application, dispatchers, logging.getLogger(), "receiver")

    def tell(self, number: int, section: str = "act") -> JobStatus | None:
        """Tell a number, and return the job's status."""
        self.receiver.receive(number, self.settings.section(section))
        return self.instance.row(number).status


@pytest.fixture
def told(request: pytest.FixtureRequest, instance: Instance) -> Iterator[Told]:
    """Return a receiver; the parameter is its sections."""
    more, sections = getattr(request, "param", ("", dispatchapp.SECTIONS))
    instance.configure(more, sections)
    with presented(load_settings(str(instance.path))):
        made = Told(instance)
        with closing(made.receiver):
            yield made
    dispatchapp.offered.clear()


@pytest.mark.feature("LP-32")
def test_the_job_of_a_number_runs_once_however_often_the_number_comes(told: Told) -> None:
    number = told.instance.act(("write", "done"))
    other = told.instance.act(("write", "done"))
    for _ in range(3):
        assert told.tell(number) is JobStatus.COMPLETED
    assert len(told.instance.ledger(number)) == 1
    assert told.instance.row(other).status is JobStatus.WAITING


@pytest.mark.feature("LP-32")
def test_a_number_of_a_job_that_cannot_be_claimed_is_dropped_without_a_word(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    later = told.instance.act(scheduled_start=datetime.now(UTC) + timedelta(hours=1))
    cancelled = told.instance.act()
    with told.instance.session() as session:
        ActJob.get(cancelled, session=session).cancel()
    done, running = told.instance.act(), told.instance.act()
    assert told.tell(done) is JobStatus.COMPLETED
    with told.instance.session() as session:
        ActJob.get(running, session=session).start()
    gone = told.instance.act()
    told.instance.query("DELETE FROM foo_job WHERE job = :id", id=gone)
    told.instance.query("DELETE FROM jobcron_job WHERE id = :id", id=gone)
    caplog.set_level(logging.INFO)
    caplog.clear()
    told.receiver.receive(gone, told.settings.section("act"))
    assert told.tell(later) is JobStatus.WAITING
    assert told.tell(cancelled) is JobStatus.CANCELLED
    assert told.tell(done) is JobStatus.COMPLETED
    assert told.tell(running) is JobStatus.RUNNING
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


def test_a_job_that_somebody_else_runs_is_left_to_him(told: Told) -> None:
    number = told.instance.act(("write", "done"))
    with told.instance.session() as session:
        ActJob.get(number, session=session).start()
    assert told.tell(number) is JobStatus.RUNNING
    assert told.instance.ledger(number) == []


def test_errors_retries_and_reports_are_those_of_any_run(told: Told) -> None:
    failing = told.instance.act(("raise", "value"))
    retrying = told.instance.act(("raise", "retryable"))
    assert told.tell(failing) is JobStatus.FAILED
    assert told.tell(retrying) is JobStatus.WAITING
    assert told.tell(retrying) is JobStatus.WAITING  # not due: it is not tried again
    assert told.instance.row(retrying).attempt_count == 1
    assert told.instance.events(failing) == ["failed"]
    assert len(told.instance.oopses()) == 1


def test_a_job_runs_in_the_section_of_its_type_whatever_queue_its_number_came_by(told: Told) -> None:
    number = told.instance.act(("write", "done"))
    assert told.tell(number, "do_foo") is JobStatus.COMPLETED


@pytest.mark.parametrize(
    "told",
    [("", "[act]\nsource_interface: fooapp.IActJobSource\nlock: cluster\n")],
    indirect=True,
)
def test_a_job_of_a_section_that_is_alone_on_all_hosts_is_left_to_its_runs(told: Told) -> None:
    number = told.instance.act(("write", "done"))
    assert told.tell(number) is JobStatus.WAITING
    assert told.instance.ledger(number) == []


def test_a_pause_and_a_full_channel_hold_for_numbers_too(told: Told) -> None:
    limit(told.instance, "root.narrow", capacity=1)
    blocker = told.instance.act(channel="root.narrow")
    number = told.instance.act(("write", "done"), channel="root.narrow")
    with told.instance.session() as session:
        ActJob.get(blocker, session=session).start()
    assert told.tell(number) is JobStatus.WAITING
    with told.instance.session() as session:
        ActJob.get(blocker, session=session).complete()
    told.instance.command("pause", "--section", "act")
    assert told.tell(number) is JobStatus.WAITING
    told.instance.command("unpause", "--section", "act")
    assert told.tell(number) is JobStatus.COMPLETED


@pytest.mark.parametrize("told", [("", ISOLATED)], indirect=True)
def test_an_isolated_runner_runs_the_job_in_a_process_of_its_own(told: Told) -> None:
    number = told.instance.act(("write", "done"))
    other = told.instance.act(("write", "done"))
    assert told.tell(number) is JobStatus.COMPLETED
    assert told.instance.row(other).status is JobStatus.WAITING


LANES = """
[quick]
source_interface: lanesapp.QuickJob
dispatch: dispatchapp:Noting

[slow]
source_interface: lanesapp.SlowJob
dispatch: dispatchapp:Noting
"""


@pytest.mark.feature("LP-32")
@pytest.mark.parametrize("told", [("", LANES)], indirect=True)
def test_a_job_that_passes_the_limit_of_the_fast_lane_is_offered_to_the_slow_one(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_keeper, "POLL_SECONDS", 0.05)
    with told.instance.session() as session:
        metadata = {"do": [["sleep", 2 * lanesapp.SECONDS], ["write", "done"]]}
        job = lanesapp.QuickJob.create(told.instance.foo(session), metadata=metadata, session=session)
        number = job.id
    dispatchapp.offered.clear()
    assert told.tell(number, "quick") is JobStatus.WAITING
    assert dispatchapp.offered == [("slow", [number])]
    assert told.tell(number, "slow") is JobStatus.COMPLETED
    assert len(told.instance.ledger(number)) == 1


def test_a_job_that_goes_into_another_lane_just_before_its_claim_is_not_run_by_the_class_of_the_old_one(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told.instance.session() as session:
        DoFooJob.create(told.instance.foo(session), session=session, scheduled_start=datetime.now(UTC) + HOUR)
    number = told.instance.act(("write", "done"))

    def claim_after_the_move(connection: Connection, job_id: int, claimant: Claimant) -> list[Claim]:
        other = "SELECT type FROM jobcron_job WHERE id <> :id"
        connection.execute(text(f"UPDATE jobcron_job SET type = ({other}) WHERE id = :id"), {"id": job_id})
        return claim_one(connection, job_id, claimant)

    monkeypatch.setattr(_number_feed, "claim_one", claim_after_the_move)
    assert told.tell(number) is JobStatus.WAITING
    monkeypatch.undo()
    assert told.tell(number) is JobStatus.COMPLETED


def test_a_section_that_is_switched_off_runs_nothing(told: Told) -> None:
    control = told.instance.path / "control.ini"
    told.instance.configure(f"cron_control: {control}", dispatchapp.SECTIONS)
    control.write_text("[act]\nenabled: false\n")
    off = Told(told.instance)
    number = told.instance.act()
    with closing(off.receiver):
        assert off.tell(number) is JobStatus.WAITING


def test_what_a_process_has_run_is_in_one_row_of_runs_and_in_the_metrics(told: Told) -> None:
    folder = told.instance.path / "prom"
    folder.mkdir()
    told.instance.configure(f"metrics_dir: {folder}", dispatchapp.SECTIONS)
    counting = Told(told.instance)
    with closing(counting.receiver):
        for _ in range(3):
            counting.tell(told.instance.act())
    assert told.instance.query("SELECT name, completed FROM jobcron_run") == [("act", 3)]
    assert 'jobcron_ready_jobs{section="act"} 0' in (folder / "jobcron_act.prom").read_text()
    assert 'jobcron_jobs_ended_total{section="act",job_class="ActJob",outcome="completed"} 3' in (
        (folder / "jobcron_act.prom").read_text()
    )


def test_a_row_of_runs_has_the_time_of_its_jobs_and_comes_although_no_other_job_does(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stint, "STINT_SECONDS", 1.0)
    began = time.monotonic()
    told.tell(told.instance.act(("sleep", 0.2)))
    busy = time.monotonic() - began
    assert threading.active_count() > 1
    told.tell(told.instance.act(("sleep", 0.2)))
    wait_until(lambda: told.instance.query("SELECT 1 FROM jobcron_run") != [], "the row")
    with told.instance.database.begin() as connection:
        seconds = typical_seconds(connection, "act")
    assert seconds is not None
    assert 0.2 <= seconds < max(0.5, busy)
    assert told.instance.query("SELECT completed FROM jobcron_run") == [(2,)]


def test_no_other_thread_is_there_while_a_job_runs(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    run_all = JobRunner.runAll

    def count_threads(runner: JobRunner) -> None:
        seen.append(sum(thread.name == "jobcron-stints" for thread in threading.enumerate()))
        run_all(runner)

    monkeypatch.setattr(JobRunner, "runAll", count_threads)
    for _ in range(3):
        told.tell(told.instance.act())
    assert seen == [0, 0, 0]


def test_the_stints_of_two_sections_do_not_lose_each_others_metrics(told: Told) -> None:
    folder = told.instance.path / "prom"
    folder.mkdir()
    told.instance.configure(f"metrics_dir: {folder}", dispatchapp.SECTIONS)
    counting = Told(told.instance)
    with closing(counting.receiver):
        for _ in range(2):
            counting.tell(told.instance.act())
            with told.instance.session() as session:
                number = DoFooJob.create(told.instance.foo(session), session=session).id
            counting.tell(number, "do_foo")
    for section, kind in (("act", "ActJob"), ("do_foo", "DoFooJob")):
        ended = f'jobcron_jobs_ended_total{{section="{section}",job_class="{kind}",outcome="completed"}} 2'
        assert ended in (folder / f"jobcron_{section}.prom").read_text()


def test_the_offer_of_a_job_that_cron_has_run_is_forgotten_when_its_number_comes(told: Told) -> None:
    number = told.instance.act()
    with told.instance.database.begin() as connection:
        note_offers(connection, [number], "act", "noting")
    told.instance.run("act")
    told.tell(number)
    assert told.instance.query("SELECT job FROM jobcron_offer") == []


def test_a_job_of_a_section_that_is_not_ours_is_left_to_cron(told: Told) -> None:
    own = [told.settings.section("do_foo")]
    number = told.instance.act()
    application = ready_to_receive(told.settings, own)
    receiver = Receiver(own, application, Dispatchers(told.settings), logging.getLogger(), "receiver")
    with closing(receiver):
        receiver.receive(number, own[0])
    assert told.instance.row(number).status is JobStatus.WAITING


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("source_interface: fooapp.OwnReadyJob", "dispatch: expected a job class without iterReady"),
        ("source_interface: fooapp.IActJobSource\nrunner_class: dispatchapp.RUNNERS", "runner_class: expected"),
    ],
)
def test_a_section_whose_jobs_cannot_be_run_one_by_one_is_refused(
    instance: Instance, keys: str, expected: str
) -> None:
    instance.configure(sections=f"[act]\n{keys}\ndispatch: dispatchapp:Noting\n")
    with presented(load_settings(str(instance.path))), pytest.raises(ConfigurationError, match=expected):
        Told(instance)
