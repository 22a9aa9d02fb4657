"""Graphs as programs put them together: which job waits for which, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import functionapp as typed_app
from fooapp import ActJob, DoFooJob, Foo
from jobcron import InvalidJobData, Job, JobStatus, NoSuchJob, chain, group
from jobcron.database.tables import EdgeRow
from jobcron.jobs.graphs import elements
from jobcron.jobs.graphs.elements import Element, Planned

app: Any = typed_app

W, B, F = JobStatus.WAITING, JobStatus.BLOCKED, JobStatus.FAILED


def letters(text: str) -> dict[str, Planned]:
    """Return a planned job for each letter, whose description it is."""
    return {letter: app.export.options(description=letter).planned(letter) for letter in text}


def edges(session: Session, any_end: bool | None = None) -> set[str]:
    """Return the edges in the database, as the descriptions of predecessor and successor."""
    names = {row.id: row.description for row in session.scalars(select(Job))}
    rows = session.scalars(select(EdgeRow))
    return {
        f"{names[row.predecessor_id]}{names[row.successor_id]}"
        for row in rows
        if any_end is None or row.any_end is any_end
    }


def statuses(session: Session) -> dict[str, JobStatus]:
    """Return the status of each job by its description."""
    return {str(row.description): row.status for row in session.scalars(select(Job))}


def shapes() -> dict[str, tuple[Any, set[str], str]]:
    """Return ways to put jobs together, the edges that they make, and which jobs wait for none."""
    return {
        "a job": (lambda a, b, c, d, e: a, set(), "a"),
        "a chain": (lambda a, b, c, d, e: chain(a, b, c), {"ab", "bc"}, "a"),
        "a group": (lambda a, b, c, d, e: group(a, b), set(), "ab"),
        "a job after a group": (lambda a, b, c, d, e: group(a, b).on_done(c), {"ac", "bc"}, "ab"),
        "two jobs after one": (lambda a, b, c, d, e: a.on_done(b, c), {"ab", "ac"}, "a"),
        "a diamond": (lambda a, b, c, d, e: chain(a, group(b, c), d), {"ab", "ac", "bd", "cd"}, "a"),
        "a group after a group": (
            lambda a, b, c, d, e: chain(group(a, b), group(c, d)),
            {"ac", "ad", "bc", "bd"},
            "ab",
        ),
        "chains in a group": (
            lambda a, b, c, d, e: group(chain(a, b), chain(c, d)).on_done(e),
            {"ab", "cd", "be", "de"},
            "ac",
        ),
        "a chain in a chain": (lambda a, b, c, d, e: chain(a, chain(b, c), d), {"ab", "bc", "cd"}, "a"),
        "something that follows a part": (
            lambda a, b, c, d, e: chain(a.on_done(d), b).on_done(c),
            {"ad", "ab", "bc"},
            "a",
        ),
        "all of a part has ended": (lambda a, b, c, d, e: chain(a, b).on_end(c), {"ab", "ac", "bc"}, "a"),
        "the same wish twice": (lambda a, b, c, d, e: a.on_done(b).on_done(b), {"ab"}, "a"),
    }


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("shape", shapes())
def test_each_job_waits_for_those_before_it(session: Session, shape: str) -> None:
    make, expected, free = shapes()[shape]
    made = make(*letters("abcde").values()).create(session=session)
    assert edges(session) == expected
    found = statuses(session)
    assert {name for name, status in found.items() if status is W} == set(free)
    assert {name for name, status in found.items() if status is B} == set(found) - set(free)
    assert sorted(made.jobs) == sorted(session.scalars(select(Job.id)))


@pytest.mark.feature("OCQ-11")
def test_whichever_part_is_created_the_whole_graph_is(session: Session) -> None:
    a, b, c = letters("abc").values()
    a.on_done(b)
    group(b, c)
    made = c.create(session=session)
    assert edges(session) == {"ab"}
    assert [session.get_one(Job, made[planned]).description for planned in (a, b, c)] == ["a", "b", "c"]


@pytest.mark.feature("OCQ-11")
def test_an_edge_says_how_its_predecessor_has_to_end(session: Session) -> None:
    a, b, c, d, e = letters("abcde").values()
    chain(a, b, on="any end").on_done(c).on_done(d, on="any end").on_end(e)
    chain(d, e)
    a.on_done(b)  # twice, and differently: the stricter wish holds
    a.create(session=session)
    assert edges(session, any_end=False) == {"ab", "bc", "de"}
    assert edges(session, any_end=True) == {"bd", "ae", "be"}


@pytest.mark.feature("OCQ-11")
def test_a_circle_is_refused_and_its_jobs_are_named(session: Session, foo: Foo) -> None:
    a, b = DoFooJob.planned(foo), app.export.planned("partner")
    c = ActJob.planned(foo)
    chain(a, b, c).on_done(a)
    with pytest.raises(InvalidJobData, match="do not wait for each other in a circle, got: ") as refused:
        a.create(session=session)
    names = str(refused.value).rpartition("got: ")[2].split(" → ")
    assert names[0] == names[-1]
    assert set(names) == {"DoFooJob", "functionapp.export", "ActJob"}
    assert len(names) == 4
    assert session.scalars(select(Job)).all() == []


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("make", [lambda a: a.on_done(a), lambda a: group(a).on_end(a)])
def test_a_job_cannot_wait_for_itself(session: Session, make: Any) -> None:
    with pytest.raises(InvalidJobData, match=r"circle, got: functionapp\.export → functionapp\.export$"):
        make(app.export.planned("a")).create(session=session)


@pytest.mark.feature("OCQ-11")
def test_a_new_job_can_wait_for_one_that_exists(session: Session, foo: Foo) -> None:
    first = ActJob.create(foo, description="x")
    a, b = letters("ab").values()
    chain(first, a).create(session=session)
    chain(first.job, b).create(session=session)
    assert edges(session) == {"xa", "xb"}
    assert statuses(session) == {"x": W, "a": B, "b": B}


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("on", ["success", "any end"])
@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_a_job_that_has_ended_already_is_waited_for_only_if_that_was_no_success(
    session: Session, foo: Foo, on: elements.On, end: str
) -> None:
    first = ActJob.create(foo, description="x").job
    if end == "fail":
        first.start()
    getattr(first, end)()
    chain(first, app.export.options(description="a").planned("a"), on=on).create(session=session)
    assert statuses(session)["a"] is (W if end == "complete" or on == "any end" else B)


@pytest.mark.feature("OCQ-11")
def test_what_cannot_be_a_part_is_refused(session: Session, foo: Foo) -> None:
    (a,) = letters("a").values()
    job = ActJob.create(foo)
    with pytest.raises(
        InvalidJobData, match=f"planned jobs to wait for others, got one that exists, job {job.id}"
    ):
        a.on_done(job)
    with pytest.raises(InvalidJobData, match="expected a planned job, as MyJob.planned"):
        chain(a, "export")  # type: ignore[arg-type]
    with pytest.raises(InvalidJobData, match="expected group to get planned jobs, chains or groups, got nothing"):
        group()
    with pytest.raises(InvalidJobData, match="expected on to be 'success' or 'any end', got 'done'"):
        chain(a, *letters("b").values(), on="done")  # type: ignore[arg-type]


@pytest.mark.feature("OCQ-11")
def test_a_predecessor_that_is_gone_is_refused(session: Session, foo: Foo) -> None:
    job = ActJob.create(foo).job
    follower: Element = chain(job, *letters("a").values())
    session.delete(job)
    session.flush()
    with pytest.raises(NoSuchJob, match=f"expected a job with the number {job.id}, for which others are to wait"):
        follower.create(session=session)


@pytest.mark.feature("OCQ-11")
def test_too_many_pairs_are_refused(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_EDGES", 9)
    a, b = (group(*letters(text).values()) for text in ("abc", "defg"))
    with pytest.raises(InvalidJobData, match="expected at most 9 pairs .* between a group of 3 and one of 4"):
        chain(a, b).create(session=session)
    assert session.scalars(select(Job)).all() == []
