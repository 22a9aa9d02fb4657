"""Pages and counts: everything once, bounded, by key."""

from __future__ import annotations

import traceback
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fooapp import ActJob
from instances import Instance
from jobcron import ConfigurationError, JobStatus, chain
from jobcron.database.tables import jobs_connection
from jobcron.operations._rows.error_lines import exception_line
from jobcron.operations.grouping import group_jobs
from jobcron.operations.listing import (
    Count,
    StartKey,
    batches,
    count_by_status,
    count_jobs,
    list_in_start_order,
    list_jobs,
)
from jobcron.operations.selection import Selection
from jobcron.testing import JobFactory
from query_cost import cost_of, noted_statements

W, R, C, F, S, X, E, B = JobStatus


@pytest.fixture
def ended(session: Session) -> list[int]:
    """Return the numbers of twelve jobs: every third has failed."""
    factory = JobFactory(session)
    jobs = [factory.makeJob(F if number % 3 == 0 else C) for number in range(12)]
    session.flush()
    return [job.id for job in jobs]


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
def test_pages_have_each_job_once_the_newest_first(session: Session, ended: list[int], limit: int) -> None:
    connection, below, found = jobs_connection(session), None, []
    while True:
        page = list_jobs(connection, Selection(), below=below, limit=limit)
        found += [job.id for job in page.jobs]
        if page.next is None:
            break
        assert page.is_full
        below = page.next
    assert found == ended[::-1]


@pytest.mark.parametrize("searched", [2, 100])
@pytest.mark.parametrize("limit", [1, 3, 4, 50])
def test_pages_have_each_job_once_the_oldest_first(
    session: Session, ended: list[int], monkeypatch: pytest.MonkeyPatch, limit: int, searched: int
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.search.SEARCHED", searched)
    connection, above, found = jobs_connection(session), None, []
    while True:
        page = list_jobs(connection, Selection(), above=above, is_oldest_first=True, limit=limit)
        found += [job.id for job in page.jobs]
        if page.next is None:
            break
        above = page.next
    assert found == ended


@pytest.mark.parametrize("looked_at", [1, 2000])
@pytest.mark.parametrize("limit", [1, 2, 7, 50])
def test_waiting_jobs_are_listed_as_they_start(
    session: Session, monkeypatch: pytest.MonkeyPatch, limit: int, looked_at: int
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.start_order.LOOKED_AT", looked_at)
    factory, moment = JobFactory(session), datetime(2026, 3, 1, tzinfo=UTC)
    made = [
        factory.makeJob(
            W,
            priority=-(number * 7 % 3),
            scheduled_start=moment + timedelta(microseconds=number * 5 % 4),
            channel="root.a" if number % 2 else None,
            queue_name="cats" if number % 5 else "dogs",
        )
        for number in range(20)
    ]
    factory.makeJob(C)
    session.flush()
    in_order = sorted(made, key=lambda job: (job.priority, job.scheduled_start, job.id))
    connection = jobs_connection(session)
    for queue in (None, "dogs", "nothing"):
        after: StartKey | None = None
        found: list[int] = []
        while True:
            page = list_in_start_order(connection, Selection(queue=queue), after=after, limit=limit)
            found += [job.id for job in page.jobs]
            assert len(page.jobs) == limit or not page.is_full
            if page.next is None:
                break
            after = page.next
        assert found == [job.id for job in in_order if queue in (None, job.queue_name)]
    monkeypatch.setattr("jobcron.operations._rows.start_order.MANY_TYPES", 0)
    with pytest.raises(ConfigurationError, match=r"at most 0 types to list jobs as they start, got: \d+ types"):
        list_in_start_order(connection, Selection())


def test_a_search_that_ends_early_says_where_the_next_goes_on(
    session: Session, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.search.SEARCHED", 5)
    connection, below, pages = jobs_connection(session), None, []
    while True:
        page = list_jobs(connection, Selection(statuses=(F,)), below=below)
        pages.append([job.id for job in page.jobs])
        if page.next is None:
            break
        assert not page.is_full
        below = page.next
    assert pages == [[ended[9]], [ended[6], ended[3]], [ended[0]]]
    assert count_jobs(connection, Selection(statuses=(F,))) == Count(1, is_exact=False)
    assert str(count_jobs(connection, Selection(statuses=(F,)))) == "1+"


def test_counts_are_capped(session: Session, ended: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    connection = jobs_connection(session)
    assert count_jobs(connection, Selection(statuses=(F,))) == Count(4, is_exact=True)
    monkeypatch.setattr("jobcron.operations.listing.COUNTED", 3)
    assert count_jobs(connection, Selection(statuses=(F,))) == Count(3, is_exact=False)
    assert str(Count(10_000, is_exact=False)) == "10,000+"


def test_counts_by_status_are_those_of_each_status(
    session: Session, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = JobFactory(session)
    for status in (W, W, R, S, B, X, E):
        factory.makeJob(status)
    session.flush()
    connection = jobs_connection(session)
    for selection in (Selection(), Selection(statuses=(W,)), Selection(ids=tuple(ended[:2]))):
        found = count_by_status(connection, selection)
        assert list(found) == list(JobStatus)
        for status, count in found.items():
            assert count == count_jobs(connection, selection.with_statuses(status)), status
    assert count_by_status(connection, Selection())[C] == Count(8, is_exact=True)
    monkeypatch.setattr("jobcron.operations.listing.COUNTED", 3)
    assert count_by_status(connection, Selection())[C] == Count(3, is_exact=False)
    assert count_by_status(connection, Selection())[W] == Count(2, is_exact=True)
    monkeypatch.setattr("jobcron.operations._rows.search.SEARCHED", 5)
    assert not count_by_status(connection, Selection())[E].is_exact


@pytest.mark.parametrize("searched", [2, 100])
@pytest.mark.parametrize("size", [1, 3, 4, 50])
def test_batches_have_all_numbers_of_a_selection_once(
    session: Session, ended: list[int], monkeypatch: pytest.MonkeyPatch, size: int, searched: int
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.search.SEARCHED", searched)
    connection = jobs_connection(session)
    found = list(batches(lambda: nullcontext(connection), Selection(statuses=(F,)), size))
    assert sum(found, []) == [ended[9], ended[6], ended[3], ended[0]]
    assert all(0 < len(batch) <= size for batch in found)


def test_a_job_shows_its_row_and_the_exception_line_of_its_error(session: Session) -> None:
    error = "Traceback (most recent call last):\n" + "  somewhere\n" * 1000 + "ValueError: no such foo\n\n"
    JobFactory(session).makeJob(F, log=error, queue_name="cats", attempt_count=2, requester="ada", _progress=40)
    session.flush()
    (job,) = list_jobs(jobs_connection(session), Selection()).jobs
    assert (job.type, job.status, job.queue, job.attempt_count, job.requester, job.progress, job.error) == (
        "testing.JOB", F, "cats", 2, "ada", 40, "ValueError: no such foo",
    )  # fmt: skip


def test_of_a_long_error_without_a_traceback_the_beginning_is_told(session: Session) -> None:
    words = (
        "a.ProcessDied: killed by SIGSEGV\nThe last words of the process:\n"
        + '  File "a.py", line 1 in run\n' * 200
    )
    JobFactory(session).makeJob(F, log=f"{words}\nExtension modules: {'many, ' * 1000}")
    session.flush()
    (job,) = list_jobs(jobs_connection(session), Selection()).jobs
    assert job.error == "a.ProcessDied: killed by SIGSEGV"


@pytest.mark.parametrize(("text", "line"), [(None, None), ("", None), ("one", "one"), ("\n a \n b \n\n", "a")])
def test_the_first_line_of_an_error_without_a_traceback_is_the_exception(
    text: str | None, line: str | None
) -> None:
    assert exception_line(text) == line


def refused_statement() -> str:
    """Return the traceback of a statement that the database refuses."""
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT * FROM nowhere"))
    except OperationalError:
        return traceback.format_exc()
    raise AssertionError("not reached")


def noted() -> str:
    """Return the traceback of an error with a cause, a message of two lines, and a note."""
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            error = ValueError("first\n  second")
            error.add_note("a note")
            raise error from cause
    except ValueError:
        return traceback.format_exc()


def grouped() -> str:
    """Return the traceback of a group of errors, of which one has a traceback."""
    try:
        raise KeyError("member")
    except KeyError as error:
        member = error
    try:
        raise ExceptionGroup("many", [member, ExceptionGroup("inner", [ValueError("one")])]) from KeyError("cause")
    except ExceptionGroup:
        return traceback.format_exc()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            refused_statement(),
            "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: nowhere",
        ),
        (noted(), "ValueError: first"),
        (grouped(), "ExceptionGroup: many (2 sub-exceptions)"),
    ],
)
def test_of_an_error_of_several_lines_the_first_is_told(error: str, line: str) -> None:
    assert exception_line(error) == line


def test_a_list_writes_nothing(instance: Instance) -> None:
    with noted_statements() as noted, instance.database.begin(writing=False) as connection:
        list_jobs(connection, Selection(statuses=(F,)), below=1_000_000)
        count_jobs(connection, Selection(statuses=(W,)))
    assert {text.split()[0].upper() for text, _ in noted} <= {"SELECT", "BEGIN", "COMMIT"}


@pytest.mark.parametrize("status", [W, S, B, R])
def test_pending_jobs_are_found_by_their_index_among_many_that_have_ended(
    instance: Instance, status: JobStatus
) -> None:
    job = instance.act()
    now = "CURRENT_TIMESTAMP"
    instance.multiply(job, 3, status=str(status.value), json_data="'{}'", lease_expires=now)
    costs = []
    for more in (0, 10_000):
        if more:
            instance.multiply(job, more, status="2", json_data="'{}'", date_finished=now)
            instance.query("ANALYZE")
        with noted_statements() as noted, instance.database.begin(writing=False) as connection:
            assert len(list_jobs(connection, Selection(statuses=(status,))).jobs) >= 3
        costs.append(max(cost_of(instance, *one) for one in noted if "jobcron_job" in one[0]))
    few, many = costs
    assert many <= few + 2000, costs


def chained(instance: Instance, size: int) -> list[int]:
    """Create jobs each of which waits for the one before."""
    with instance.session() as session:
        foo = instance.foo(session)
        return list(chain(*(ActJob.planned(foo) for _ in range(size))).create(session=session).jobs)


@pytest.mark.feature("OCQ-11")
def test_of_a_large_graph_the_nearest_jobs_are_listed_and_counted_and_that_it_has_more_is_said(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.search.NEAREST", 5)
    jobs = chained(instance, 9)
    with instance.database.begin(writing=False) as connection:
        middle = Selection(graph=jobs[4])
        page = list_jobs(connection, middle)
        assert [job.id for job in page.jobs] == jobs[6:1:-1]
        assert (page.next, page.is_cut) == (None, True)
        assert count_jobs(connection, middle) == Count(5, is_exact=False)
        assert count_by_status(connection, middle)[B] == Count(5, is_exact=False)
        assert not group_jobs(connection, middle, "type").is_complete
        waiting = list_in_start_order(connection, Selection(graph=jobs[0], statuses=(W,)))
        assert ([job.id for job in waiting.jobs], waiting.is_cut) == (jobs[:1], True)
        acted_on = batches(lambda: nullcontext(connection), middle, 4)
        assert [number for some in acted_on for number in some] == jobs[::-1]


@pytest.mark.feature("OCQ-11")
def test_a_graph_of_no_more_jobs_than_are_looked_at_is_whole(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.operations._rows.search.NEAREST", 5)
    jobs = chained(instance, 5)
    with instance.database.begin(writing=False) as connection:
        whole = Selection(graph=jobs[4])
        assert not list_jobs(connection, whole).is_cut
        assert count_jobs(connection, whole) == Count(5, is_exact=True)
        assert group_jobs(connection, whole, "type").is_complete
        assert list_jobs(connection, Selection(graph=jobs[4] + 1)).jobs == ()
