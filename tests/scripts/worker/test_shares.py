"""Workers that hear of jobs share them, without asking each other; and no job waits for a worker that is gone."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from logging import getLogger
from typing import Any

import pytest

from instances import Instance, wait_until
from jobcron.database.connecting.notifications import WORKER
from jobcron.scripts.locks.holders import family_of
from jobcron.scripts.worker._ear import LEAST_LEFT, Ear, News, Share, Told
from jobcron.scripts.worker._processes import Processes
from jobcron.scripts.worker._rate import Rate
from jobcron.scripts.worker._supervisor import Supervisor
from jobcron.scripts.worker._systemd import Notifier
from jobcron.scripts.worker._terms import Terms
from jobcron.settings.instance import load_settings
from worker_processes import SOON, eventually, is_completed, worker

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"

MADE_BY_NOBODY = """
INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving,
                            started, seen, silent_after)
VALUES ('{name}', 'elsewhere', 1, '1.0', 'act', 0, 1, false, now(), now(), now() + interval '1 hour')
"""
"""The row of a worker that has died a moment ago."""


@pytest.fixture
def shop(instance: Instance) -> Instance:
    """Return an instance whose database notifies workers."""
    instance.configure("notify: true", SECTIONS)
    instance.command("upgrade")
    return instance


@pytest.fixture
def ear(shop: Instance) -> Iterator[Ear]:
    """Return an ear that listens."""
    with closing(Ear(shop.url, getLogger())) as made:
        yield made


def heard(ear: Ear, selector: selectors.BaseSelector, instance: Instance, text: str) -> float:
    """Let an ear hear something, and return how long it waits."""
    instance.query("SELECT pg_notify('jobcron', :text)", text=text)
    wait_until(lambda: any(key.data is ear for key, _ in selector.select(0)), "a notification", SOON)
    return ear.hear(selector)


def test_each_job_is_of_one_share_and_the_shares_are_alike() -> None:
    shares = [Share(before, 4) for before in range(4)]
    owners = [[share.before for share in shares if share.has(str(3 * number))] for number in range(4000)]
    assert all(len(found) == 1 for found in owners)
    assert all(800 < owners.count([before]) < 1200 for before in range(4))
    assert not any(share.has(WORKER) for share in [*shares, Share()])


@on_postgresql
def test_an_ear_looks_at_once_for_its_own_jobs_and_later_for_others_while_it_hears_on(
    shop: Instance, ear: Ear
) -> None:
    ear.share = Share(1, 2)
    own = next(text for text in map(str, range(100)) if ear.share.has(text))
    others = next(text for text in map(str, range(100)) if not ear.share.has(text))
    with selectors.DefaultSelector() as selector:
        ear.open(selector)
        assert heard(ear, selector, shop, others) >= LEAST_LEFT
        assert heard(ear, selector, shop, own) == 0.0
        assert ear.rest_left < float("inf"), "what it hears now is seen by its look"
        ear.attend(selector)
        for _ in range(9):
            ear.came_too_late()
        assert heard(ear, selector, shop, own) == 0.0, "own jobs are nobody else's to look for"
        ear.attend(selector)
        assert heard(ear, selector, shop, WORKER) == float("inf")
        assert ear.has_heard_of_worker


def test_what_is_told_while_no_process_has_time_is_looked_for_when_one_has() -> None:
    news = News()
    assert news.process_has_time() is None
    news.hear(is_first=True)
    assert news.for_look(asks_all=False) == Told(has_heard=True, is_first=True)
    assert news.for_look(asks_all=False) == Told(has_heard=False, is_first=True), "it is not forgotten"
    assert news.process_has_time() == Told(has_heard=True, is_first=True)
    assert news.process_has_time() is None
    assert news.for_look(asks_all=True) == Told(has_heard=True, is_first=True)
    assert news.for_look(asks_all=True) == Told(has_heard=False, is_first=False)
    news.hear(is_first=False)
    news.for_look(asks_all=False)
    assert news.process_has_time() == Told(has_heard=True, is_first=False)
    news.miss()
    assert news.process_has_time() == Told(has_heard=True, is_first=True)


@on_postgresql
def test_the_jobs_of_a_dead_workers_share_do_not_wait_for_the_next_look(shop: Instance) -> None:
    for name in ("a", "z"):  # one before it, one behind
        shop.query(MADE_BY_NOBODY.format(name=name))
    with worker(shop, "act", "--poll", "3600") as running:
        eventually(lambda: shop.query("SELECT 1 FROM jobcron_worker WHERE host <> 'elsewhere'"))
        began = time.monotonic()
        for _ in range(20):
            eventually(is_completed(shop, shop.act(("write", "something"))))
        assert time.monotonic() - began < SOON / 2
        assert running.stop() == 0


@on_postgresql
def test_jobs_that_come_quickly_are_shared_by_two_hosts_and_all_run(shop: Instance) -> None:
    there = Instance(shop.path.with_name("there"), shop.url)
    there.configure("notify: true", SECTIONS)
    with ExitStack() as stack:
        stack.callback(there.database.close)
        both = [stack.enter_context(worker(host, "act", "--poll", "3600")) for host in (shop, there)]
        eventually(lambda: len(shop.query("SELECT 1 FROM jobcron_worker")) == 2)
        jobs = []
        for number in range(40):
            time.sleep(number % 5 / 100)
            jobs.append(shop.act(("write", "something")))
        eventually(is_completed(shop, *jobs))
        claimants = {family_of(name) for (name,) in shop.query("SELECT claimed_by FROM jobcron_job")}
        assert [running.stop() for running in both] == [0, 0]
    assert len(claimants) == 2


class Looks:
    """Stands for what a supervisor asks, and for its row: no job is ever found, and each answer takes a while."""

    patience = None

    def __init__(self) -> None:
        self.began: list[float] = []

    def with_work(self, sections: object, *, patience: float = 0.0) -> set[str]:
        """Note when a look has begun that leaves young jobs to others."""
        if patience:
            self.began.append(time.monotonic())
            time.sleep(1.5 * patience)
        return set()

    def sign_if_due(self, processes: int, *, is_leaving: bool) -> None:
        """Give no sign."""

    def leave(self) -> None:
        """Do nothing."""


@on_postgresql
def test_a_job_that_was_too_young_for_a_look_whose_answer_took_long_is_looked_for_again(
    shop: Instance, ear: Ear
) -> None:
    ear.share = Share(0, 10**9)  # all others
    looks: Any = Looks()
    terms = Terms(1, 3600.0, SOON, SOON, None, None, Rate(0.0), 7.0, False, True, SOON)
    processes = Processes(lambda name: pytest.fail("nothing is to run"), lambda *about: 0, getLogger())
    section = load_settings(str(shop.path)).sections["act"]
    supervisor = Supervisor(
        lambda: [section], {"act": 1}, terms, looks, processes, ear, looks, Notifier(), getLogger()
    )
    told: list[float] = []

    def tell() -> None:
        for _ in range(3):
            time.sleep(1.5)
            for _ in range(2):
                shop.query("SELECT pg_notify('jobcron', '1')")
                told.append(time.monotonic())
                time.sleep(0.7 * LEAST_LEFT)

    with ThreadPoolExecutor() as pool:
        telling = pool.submit(tell)
        assert supervisor.run() == 0
        telling.result()
    for moment in told[1::2]:
        assert any(0.75 * LEAST_LEFT < began - moment < 1.4 for began in looks.began)  # before the next two
