"""All workers hear of a job, and one gets it: what that costs the others, and what it does not."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from contextlib import closing
from logging import getLogger

import pytest

import fooapp
from instances import Instance, wait_until
from jobcron.jobs.lease import Claim
from jobcron.queue.outcome import Completed
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import JobEnd
from jobcron.scripts.worker import _ear
from jobcron.scripts.worker._child import Waiting
from jobcron.scripts.worker._ear import LEAST_LEFT, MOST_LEFT, REST_SECONDS, Ear
from jobcron.scripts.worker._line import FRUITLESS, IDLE, LOOK, LOOK_BACK, RENEW, Line, Process, new_line
from jobcron.scripts.worker._lookout import Lookout
from jobcron.scripts.worker._options import LINGER_SECONDS
from jobcron.scripts.worker._rate import Rate
from jobcron.scripts.worker._terms import Terms
from jobcron.settings.instance import load_settings
from script_runs import do_foo
from ticks import set_job, shifted
from worker_processes import SOON, eventually, is_completed, worker

TERMS = Terms(1, 1.0, SOON, SOON, None, None, Rate(0.0), None, False, True, SOON)

SECTIONS = """
[do_foo]
source_interface: fooapp.IDoFooJobSource
[act]
source_interface: fooapp.IActJobSource
"""


WORDS = {"nothing": LOOK, "some in a channel": LOOK_BACK}
"""What a waiting process is told where there are ready jobs, by what there is besides."""


class Both:
    """Both ends of a line: what the supervisor knows of a process, and the process's guard."""

    def __init__(self) -> None:
        ours, its = new_line()
        self.process, self.guard = Process("act", 0, ours, None), Waiting(Line(its), TERMS)

    def goes_on(self) -> bool:
        """Return whether the process looks again, as it has to say; it is told before."""
        return self.guard.waits_for_more(lambda: False)


@pytest.fixture
def both() -> Iterator[Both]:
    """Return both ends of a line."""
    made = Both()
    yield made
    made.process.close()


def test_a_process_whose_jobs_others_took_waits_for_the_next_ones(both: Both) -> None:
    for _ in range(3):
        both.process.look(LOOK)
        assert both.goes_on()
        assert not both.guard.knows_of_more
        assert both.process.heard() == FRUITLESS


def test_a_process_that_others_were_faster_than_in_a_channel_waits_on(both: Both) -> None:
    for _ in range(3):
        both.process.look(LOOK_BACK)
        assert both.goes_on()
        assert both.guard.knows_of_more


def test_a_process_that_finds_nothing_where_there_was_more_than_ready_jobs_leaves_for_a_new_run(
    both: Both,
) -> None:
    both.process.look(RENEW)
    assert both.goes_on()
    assert both.guard.knows_of_more, "it looks for what was left behind as well"
    assert not both.goes_on()


def test_a_process_that_has_run_a_job_meanwhile_waits_for_more(both: Both) -> None:
    both.process.look(RENEW)
    assert both.goes_on()
    both.guard.made(JobRunner.__new__(JobRunner))  # which is asked nothing
    both.guard.job_begins()
    both.guard.job_ended(JobEnd(Claim(1, 1), Completed(), 0.1, []))
    both.process.look(LOOK)
    assert both.goes_on()
    assert both.process.heard()[-1:] == IDLE


@pytest.mark.parametrize(
    "more",
    [
        "nothing",
        "some in a channel",
        "left by a dead process",
        "over",
        "its row of runs is due",
        "no tables",
    ],
)
def test_a_look_tells_ready_jobs_from_what_only_a_new_run_does(quiet: Instance, more: str) -> None:
    do_foo(quiet)
    other = do_foo(quiet)
    match more:
        case "some in a channel":
            set_job(quiet, other, channel="'export'")
        case "left by a dead process":
            set_job(quiet, other, status="1", lease_token="1", lease_expires=shifted(quiet, -1))
        case "over":
            set_job(quiet, other, scheduled_start=shifted(quiet, -20), expires_at=shifted(quiet, -10))
        case "its row of runs is due":
            quiet.query("DELETE FROM jobcron_run")
        case "no tables":
            quiet.query("DROP TABLE jobcron_run")
    settings = load_settings(str(quiet.path))
    with closing(Lookout(settings, {"fooapp.IDoFooJobSource": "foo_job.DO_FOO"}, lambda section: ())) as lookout:
        assert lookout.with_work([settings.section("do_foo")]) == {"do_foo"}
        assert lookout.word_for("do_foo") == WORDS.get(more, RENEW)
        quiet.query("DELETE FROM foo_job")
        quiet.query("DELETE FROM jobcron_job")
        lookout.with_work([settings.section("do_foo")])
        assert lookout.word_for("do_foo") == RENEW, "it is said of the last look"


@pytest.fixture
def ear(instance: Instance) -> Iterator[Ear]:
    """Return an ear that listens."""
    instance.configure("notify: true", SECTIONS)
    instance.command("upgrade")
    with closing(Ear(instance.url, getLogger())) as made:
        yield made


def is_ready(selector: selectors.BaseSelector, ear: Ear) -> bool:
    return any(key.data is ear for key, _ in selector.select(0))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_ear_that_has_heard_of_a_job_rests_until_the_worker_has_looked(instance: Instance, ear: Ear) -> None:
    with selectors.DefaultSelector() as selector:
        ear.open(selector)
        instance.act(("write", "first"))
        wait_until(lambda: is_ready(selector, ear), "the first notification", SOON)
        assert ear.hear(selector) == 0.0
        assert 0 < ear.rest_left <= REST_SECONDS
        instance.act(("write", "second"))
        assert not is_ready(selector, ear)
        ear.attend(selector)
        wait_until(lambda: is_ready(selector, ear), "what was said meanwhile", SOON)
        ear.hear(selector)
        wait_until(lambda: not ear.rest_left, "the end of the longest rest", SOON)
        instance.act(("write", "third"))
        ear.open(selector)
        wait_until(lambda: is_ready(selector, ear), "it to listen again", SOON)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_comes_too_late_leaves_the_next_job_to_others_for_a_moment(
    instance: Instance, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard() -> float:
        ear.attend(selector)
        instance.act(("write", "something"))
        wait_until(lambda: is_ready(selector, ear), "a notification", SOON)
        return ear.hear(selector)

    with selectors.DefaultSelector() as selector:
        ear.open(selector)
        ear.came_too_late()
        time.sleep(MOST_LEFT)
        assert LEAST_LEFT / 2 <= heard() <= LEAST_LEFT, "it was long ago"
        monkeypatch.setattr(_ear, "MOST_LEFT", 900.0)
        ear.came_too_late()
        assert 100 < heard() <= 225
        for _ in range(9):
            ear.came_too_late()
        assert 200 < heard() <= 450
        ear.came_in_time(is_ours=True)
        assert heard() == 0.0, "where nobody else is known, all jobs are its own"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_section_that_had_to_wait_for_anothers_job_runs_as_soon_as_that_ends(instance: Instance) -> None:
    instance.configure("notify: true", SECTIONS)
    instance.command("upgrade")
    begun, go = instance.path / "begun", instance.path / "go"
    first = instance.act(("touch", str(begun)), ("wait_for", str(go)))
    with worker(instance, "--processes", "1", "--poll", "3600") as running:
        eventually(begun.exists)
        with instance.session() as session:
            second = int(fooapp.DoFooJob.create(instance.foo(session), session=session).job.id)
        time.sleep(2 * REST_SECONDS)  # it has heard, and there was no room
        go.touch()
        eventually(is_completed(instance, first, second))
        assert running.stop() == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_comes_while_the_process_finds_nothing_more_does_not_wait_for_the_next_look(
    instance: Instance,
) -> None:
    instance.configure("notify: true", SECTIONS)
    instance.command("upgrade")
    late = 0
    with worker(instance, "act", "--poll", "3600") as running:
        eventually(is_completed(instance, instance.act(("write", "the first"))))
        for number in range(60):
            time.sleep(number % 15 / 1000)  # so that some come at each moment of the end of the one before
            job, began = instance.act(("write", "next")), time.monotonic()
            is_done = is_completed(instance, job)
            while not is_done():  # without a pause: the next one comes when this one has just ended
                assert time.monotonic() < began + SOON, f"job {number} of 60 waits"
            # The process leaves after a while without a job, and then the worker looks: so no job waits for ever.
            late += time.monotonic() - began > LINGER_SECONDS - 1
            assert late < 3
        assert running.stop() == 0
