"""What a job of a group does to its transaction, its session or its row: no other job of the group pays for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus, chain
from jobcron.database import statements
from jobcron.database.sessions import current_session

COUNT = 8


def make(instance: Instance, monkeypatch: pytest.MonkeyPatch, run: Any) -> list[int]:
    """Make jobs that do `run`."""
    monkeypatch.setattr(ActJob, "run", run)
    return [instance.act() for _ in range(COUNT)]


def errors(groups: list[Any]) -> list[str]:
    """Return why groups were rolled back."""
    return [str(group.error) for group in groups if group.error is not None]


def test_a_job_that_acquires_one_for_its_own_target_gets_another_one(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    acquired = []

    def run(job: Any) -> None:
        if job.job.id <= COUNT:
            acquired.append((job.job.id, ActJob.acquire(job.context.foo, session=job.session).job.id))

    make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == []
    assert all(found > COUNT for _, found in acquired)
    assert [row.status for row in grouped.rows()] == [JobStatus.COMPLETED] * (2 * COUNT)


@pytest.mark.parametrize("then", ["nothing", "write", "many"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_that_swallows_that_a_statement_ended_the_transaction_takes_no_work_of_others_along(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    def run(job: Any) -> None:
        number = job.job.id
        job.act_write("done")
        if number == 6:
            driver = job.session.connection().connection.driver_connection
            with suppress(Exception):
                driver.execute("INSERT OR ROLLBACK INTO ledger SELECT * FROM ledger")
            insert = "INSERT INTO ledger (job, attempt, note) VALUES (?, 1, 'after')"
            if then == "write":
                driver.cursor().execute(insert, (6,))
            elif then == "many":
                driver.cursor().executemany(insert, [(6,)])

    jobs = make(grouped, monkeypatch, run)
    grouped.run("act")
    assert len(errors(groups)) == 1
    assert {row.id for row in grouped.rows() if row.status is JobStatus.COMPLETED} >= set(jobs) - {6}
    assert [job for job, _, note in grouped.ledger() if job != 6] == [job for job in jobs if job != 6]
    assert len([note for job, _, note in grouped.ledger() if note == "after"]) <= 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_block_of_the_driver_commits_no_work_of_others(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.act_write("done")
        if job.job.id == 6:
            with job.session.connection().connection.driver_connection:
                pass

    make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == ["committed"]
    assert [job for job, _, _ in grouped.ledger()] == list(range(1, COUNT + 1))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_that_swallows_that_its_transaction_is_aborted_is_told_from_the_others(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.act_write("done")
        if job.job.id == 6:
            with suppress(DBAPIError):
                job.session.execute(text("SELECT 1 / 0"))

    jobs = make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == ["ended the transaction"]
    assert {row.id for row in grouped.rows() if row.status is JobStatus.COMPLETED} >= set(jobs) - {6}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_rows_of_a_group_whose_process_stopped_are_free_again_soon(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "IDLE_SECONDS", 0.3)
    seen: list[object] = []

    def run(job: Any) -> None:
        if len(groups) == 2:  # the third, whose jobs are 5 to 8
            if job.job.id == 7:
                time.sleep(0.8)
            seen.append(job.session.scalar(text("SELECT current_setting('idle_in_transaction_session_timeout')")))
        job.act_write("done")

    make(grouped, monkeypatch, run)
    grouped.run("act")
    assert seen == ["300ms"] * 2
    assert len(errors(groups)) == 1
    assert "idle-in-transaction timeout" in errors(groups)[0] or "closed" in errors(groups)[0]
    assert len(grouped.ledger()) == COUNT


@pytest.mark.parametrize(
    "name", ["before_commit", "after_commit", "after_rollback", "after_transaction_end", "do_orm_execute"]
)
def test_a_job_that_listens_to_its_session_has_one_that_no_other_job_gets(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    heard = []

    def run(job: Any) -> None:
        job.act_write("done")
        if job.job.id == 6:
            event.listen(job.session, name, lambda *arguments: heard.append(name))

    make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == ["listens to its session"]
    assert len(grouped.ledger()) == COUNT
    if name in ("before_commit", "after_commit", "after_transaction_end"):
        assert heard


@pytest.mark.parametrize("place", [5, 6, 7, 8])
@pytest.mark.parametrize("name", ["after_flush", "after_commit"])
def test_one_that_touches_nothing_but_listens_to_its_session_is_heard_of_before_the_group_is_committed(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch, name: str, place: int
) -> None:
    ran = []

    def run(job: Any) -> None:
        ran.append(job)
        if len(ran) == place:
            event.listen(current_session(), name, lambda *arguments: None)

    jobs = make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == ["listens to its session"]
    assert {row.id for row in grouped.rows() if row.status is JobStatus.COMPLETED} == set(jobs)


def test_jobs_run_one_by_one_from_when_the_application_listens_to_the_ends_of_all_transactions(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Session] = []

    def run(job: Any) -> None:
        job.act_write("done")
        if job.job.id == 6 and not event.contains(Session, "after_transaction_end", note):
            event.listen(Session, "after_transaction_end", note)

    def note(session: Session, transaction: object) -> None:
        heard.append(session)

    make(grouped, monkeypatch, run)
    try:
        grouped.run("act")
    finally:
        event.remove(Session, "after_transaction_end", note)
    assert errors(groups) == ["listens to its session"]
    assert len(groups) == 3
    assert len(grouped.ledger()) == COUNT


@pytest.mark.feature("N-13")
def test_what_a_job_s_own_statement_has_changed_is_not_written_over_by_another_that_was_read_before(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        foo = job.context.foo  # read with those of the whole group, before any of its jobs changes one
        if job.job.id == 6:
            job.session.execute(text("UPDATE foo SET frozzled = frozzled + 1"))
        elif job.job.id == 7:
            foo.frozzled = foo.frozzled + 1

    make(grouped, monkeypatch, run)
    grouped.query("UPDATE foo_job SET foo_id = (SELECT min(id) FROM foo)")
    grouped.run("act")
    assert errors(groups) == ["another session changed frozzled of Foo (1,) after this job had read it"]
    is_completed = grouped.row(7).status is JobStatus.COMPLETED  # else it waits for its next attempt
    assert grouped.query("SELECT frozzled FROM foo WHERE id = 1") == [(1 + is_completed,)]


def change_settings() -> None:
    current_session().autoflush = False


def set_options() -> None:
    current_session().connection().execution_options(schema_translate_map={None: "tenant"})


def hear_statements() -> None:
    event.listen(current_session().connection(), "before_execute", lambda *arguments: None)


LEFT_BEHIND = ["left something behind on its connection"]


@pytest.mark.parametrize("place", [5, 8])
@pytest.mark.parametrize(
    ("leave", "expected"),
    [(change_settings, []), (set_options, LEFT_BEHIND), (hear_statements, LEFT_BEHIND)],
)
def test_what_a_job_changes_of_its_session_or_its_connection_reaches_no_other(
    grouped: Instance,
    groups: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[], None],
    expected: list[str],
    place: int,
) -> None:
    found = {}  # by the last attempt of each, which is the one that counts

    def run(job: Any) -> None:
        number, session = job.job.id, current_session()
        if number == place:
            leave()
        elif leave is change_settings:
            found[number] = session.autoflush
        else:
            connection = session.connection()
            is_changed = "schema_translate_map" in connection.get_execution_options()
            found[number] = not (is_changed or len(connection.dispatch.before_execute))

    jobs = make(grouped, monkeypatch, run)
    grouped.run("act")
    assert errors(groups) == expected
    assert found == dict.fromkeys(set(jobs) - {place}, True)
    assert {row.status for row in grouped.rows()} == {JobStatus.COMPLETED}


def test_jobs_for_which_others_wait_run_by_themselves(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(grouped, monkeypatch, lambda job: None)
    with grouped.session() as session:
        before, after = ActJob.planned(grouped.foo(session)), ActJob.planned(grouped.foo(session))
        made = chain(before, after).create(session=session)
        first = ActJob.get(made[before], session=session).job.id
    for _ in range(4):
        grouped.act()
    grouped.run("act")
    assert errors(groups) == []
    shared = [ended.claim.id for group in groups for ended in group.ended]
    assert first not in shared
    assert len(shared) >= COUNT
    assert {row.status for row in grouped.rows()} == {JobStatus.COMPLETED}


def test_a_run_whose_jobs_run_one_by_one_does_not_look_dead(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(job: Any) -> None:
        number, token = job.job.id, job.job.lease_expires
        seen.append((token is None, job.session.scalar(text("SELECT count(*) FROM jobcron_group_run"))))
        if number == 6:
            job.checkpoint()

    make(grouped, monkeypatch, run)
    grouped.run("act")
    assert len(errors(groups)) == 1
    assert set(seen) == {(True, 1), (False, 0)}  # a group under its row, or a lease of the job's own
