"""Selections of jobs: each filter alone, all of them together, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from instances import Instance
from jobcron import ConfigurationError, Job, JobStatus, load_settings
from jobcron.database.tables import jobs_connection
from jobcron.operations.listing import list_jobs
from jobcron.operations.selection import Selection
from jobcron.testing import JobFactory

W, R, C, F, S, X, E, B = JobStatus

NOW = datetime.now(UTC)


def listed(session: Session, selection: Selection) -> list[int]:
    """Return the numbers of a selection's jobs."""
    return [job.id for job in list_jobs(jobs_connection(session), selection).jobs]


@pytest.mark.parametrize(
    ("values", "selection"),
    [
        ({"status": F}, Selection(statuses=(F,))),
        ({"status": R}, Selection(statuses=(R,))),
        ({"status": S}, Selection(statuses=(S, R))),
        ({"type_name": "other.ONE"}, Selection(types=("other.ONE", "other.TWO"))),
        ({"type_name": "other.ONE"}, Selection(family="other")),
        ({"queue_name": "cats"}, Selection(queue="cats")),
        ({"channel": "root.export"}, Selection(channel="root.export")),
        ({"channel": "root.export.eu.north"}, Selection(channel="root.export")),
        ({"channel": "root.a_c.x"}, Selection(channel="root.a_c")),
        ({"requester": "ada"}, Selection(requester="ada")),
        ({"unique_key": "7"}, Selection(unique_key="7")),
        ({"target_type": "shop.Order", "target_id": "7"}, Selection(target=("shop.Order", "7"))),
        ({"target_type": "shop.Order", "target_id": '"ada"'}, Selection(target=("shop.Order", "ada"))),
        ({"oops_id": "OOPS-1"}, Selection(oops_id="OOPS-1")),
        ({"log": "Traceback\nValueError: 100% Wrong"}, Selection(error="100% wrong")),
        ({"json_data": {"copies": 3}}, Selection(argument=(("copies", 3),))),
        ({"json_data": {"paid": True}}, Selection(argument=(("paid", True),))),
        ({"json_data": {"to": "Ada"}}, Selection(argument=(("to", "Ada"),))),
        ({"json_data": {"to": [1, {"a": None}]}}, Selection(argument=(("to", [1, {"a": None}]),))),
        ({"json_data": {"to": "Zoë 😀"}}, Selection(argument=(("to", "Zoë 😀"),))),
        ({"json_data": {"to": ["Zoë", {"größe": 1}]}}, Selection(argument=(("to", ["Zoë", {"größe": 1}]),))),
        ({"json_data": {"größe": "a\tb"}}, Selection(argument=(("größe", "a\tb"),))),
        ({"json_data": {"a.b": 5, "a": {"b": 6}}}, Selection(argument=(("a.b", 5),))),
        ({"json_data": {"$": 5}}, Selection(argument=(("$", 5),))),
        ({"json_data": {"$.copies": 4}}, Selection(argument=(("$.copies", 4),))),
        ({"json_data": {"[0]": 5}}, Selection(argument=(("[0]", 5),))),
        ({"json_data": {"1": 5}}, Selection(argument=(("1", 5),))),
        ({"log": "é%_" * 3333}, Selection(error="é%_" * 3333)),
        ({"date_created": NOW - timedelta(days=3)}, Selection(older_than=timedelta(days=2))),
        ({"date_created": datetime(2026, 2, 28, tzinfo=UTC)}, Selection(created_on=date(2026, 2, 28))),
        (
            {"date_created": datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)},
            Selection(created_on=date(2026, 2, 28)),
        ),
        ({"scheduled_start": NOW - timedelta(hours=3)}, Selection(due_within=timedelta(hours=-2))),
        ({"scheduled_start": NOW + timedelta(hours=3)}, Selection(due_after=timedelta(hours=2))),
    ],
    ids=lambda value: "" if isinstance(value, Selection) else "-".join(map(str, value)),
)
def test_each_filter_finds_the_jobs_that_fit_and_no_others(
    session: Session, values: dict[str, Any], selection: Selection
) -> None:
    factory = JobFactory(session)
    others = [factory.makeJob(json_data={"copies": 4, "to": "Bob"}, log="fine"), factory.makeJob(C)]
    wanted = factory.makeJob(**values)
    session.flush()
    assert listed(session, selection) == [wanted.id]
    assert len(listed(session, Selection())) == len(others) + 1


def test_an_argument_is_found_that_something_else_wrote_without_escapes(session: Session) -> None:
    wanted, _ = JobFactory(session).makeJob(), JobFactory(session).makeJob(json_data={"größe": "Zoe"})
    session.flush()
    data = {"größe": "Zoë"}
    session.execute(text("UPDATE jobcron_job SET json_data = :data WHERE id = :id"), {
        "data": json.dumps(data, ensure_ascii=False, indent=2), "id": wanted.id,
    })  # fmt: skip
    assert listed(session, Selection(argument=tuple(data.items()))) == [wanted.id]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"error": "x" * 10_001}, "error: expected at most 10,000 characters, got: 10,001"),
        ({"channel": "x" * 60_000}, "channel: expected at most 10,000 characters"),
        ({"argument": (('a"b', 1),)}, "argument: expected the name of an argument without quotes"),
        ({"argument": (("a\\", 1),)}, "argument: expected the name of an argument without quotes"),
        ({"argument": (("a\n", 1),)}, "argument: expected the name of an argument without quotes"),
    ],
)
def test_what_no_database_could_look_for_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Selection(**given)


def test_a_day_ends_before_the_next_begins(session: Session) -> None:
    factory = JobFactory(session)
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    jobs = [factory.makeJob(date_created=midnight + timedelta(microseconds=one)) for one in (-1, 0)]
    session.flush()
    assert listed(session, Selection(created_on=date(2026, 2, 28))) == [jobs[0].id]
    assert listed(session, Selection(created_on=date(2026, 3, 1))) == [jobs[1].id]


def test_jobs_have_to_fit_all_filters(session: Session) -> None:
    factory = JobFactory(session)
    wanted = factory.makeJob(F, queue_name="cats", requester="ada")
    factory.makeJob(F, queue_name="cats", requester="bob")
    factory.makeJob(C, queue_name="cats", requester="ada")
    session.flush()
    assert listed(session, Selection(statuses=(F, X), queue="cats", requester="ada")) == [wanted.id]


def test_a_job_is_selected_by_its_numbers_and_its_uuid(session: Session) -> None:
    factory = JobFactory(session)
    jobs = [factory.makeJob() for _ in range(3)]
    session.flush()
    assert listed(session, Selection(ids=(jobs[0].id, jobs[2].id))) == [jobs[2].id, jobs[0].id]
    assert listed(session, Selection(uuid=jobs[1].uuid)) == [jobs[1].id]


def test_young_jobs_are_selected_by_the_clock_of_the_database(session: Session) -> None:
    factory = JobFactory(session)
    old, young = factory.makeJob(), factory.makeJob()
    session.flush()
    session.execute(update(Job).where(Job.id == old.id).values(date_created=NOW - timedelta(days=3)))
    assert listed(session, Selection(younger_than=timedelta(days=2))) == [young.id]


@pytest.mark.parametrize(
    "selection", [Selection(types=("no.SUCH",)), Selection(family="fo"), Selection(sources=("x",))]
)
def test_a_type_that_nobody_knows_has_no_jobs(session: Session, selection: Selection) -> None:
    JobFactory(session).makeJob(type_name="foo.BAR")
    session.flush()
    assert listed(session, selection) == []
    assert listed(session, selection.with_statuses(W)) == []


def test_a_section_has_the_jobs_that_its_source_returns(instance: Instance) -> None:
    instance.act()
    instance.run("act")
    with instance.session() as session:
        JobFactory(session).makeJob(type_name="other.ONE")
    with instance.database.session(writing=False) as session:
        settings = load_settings(str(instance.path))
        assert listed(session, Selection.of_section(settings, "act")) == [1]
        assert listed(session, Selection.of_section(settings, "do_foo")) == []
        with pytest.raises(ConfigurationError, match=r"found none; the sections of jobs are: act"):
            Selection.of_section(settings, "nonsense")


def test_a_selection_without_filters_is_false() -> None:
    assert not Selection()
    assert Selection(queue="cats")


@pytest.fixture
def small_searches(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes searches look at few rows."""

    def limit(**limits: int) -> None:
        for name, value in limits.items():
            monkeypatch.setattr(f"jobcron.operations._rows.search.{name.upper()}", value)

    return limit


def test_pending_jobs_are_found_behind_any_number_of_ended_ones(
    session: Session, small_searches: Callable[..., None]
) -> None:
    small_searches(searched=5)
    factory = JobFactory(session)
    waiting, running = factory.makeJob(unique_key="b"), factory.makeJob(R)
    other = factory.makeJob(S, type_name="other.ONE")
    for _ in range(10):
        factory.makeJob(C)
    session.flush()
    assert listed(session, Selection(statuses=(W, R, S, B))) == [other.id, running.id, waiting.id]
    assert listed(session, Selection(statuses=(R,), types=("testing.JOB", "other.ONE"))) == [running.id]
    assert listed(session, Selection(statuses=(W, S), types=("testing.JOB", "other.ONE"))) == [
        other.id,
        waiting.id,
    ]


def test_many_pending_jobs_are_searched_by_number(session: Session, small_searches: Callable[..., None]) -> None:
    small_searches(searched=5, few=3)
    factory = JobFactory(session)
    jobs = [factory.makeJob() for _ in range(8)]
    session.flush()
    page = list_jobs(jobs_connection(session), Selection(statuses=(W,)))
    assert [job.id for job in page.jobs] == [job.id for job in reversed(jobs[3:])]
    assert (page.next, page.is_full) == (jobs[3].id, False)


def test_jobs_that_ended_lately_are_found_however_old_they_are(session: Session) -> None:
    factory = JobFactory(session)
    made = NOW - timedelta(days=9)
    lately = factory.makeJob(JobStatus.FAILED, date_created=made, date_finished=NOW - timedelta(minutes=5))
    factory.makeJob(JobStatus.COMPLETED, date_created=made, date_finished=NOW - timedelta(days=3))
    factory.makeJob(date_created=made)
    session.flush()
    assert listed(session, Selection(ended_within=timedelta(hours=1))) == [lately.id]
