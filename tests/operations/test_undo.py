"""Acts on selections have numbers, and are undone by them, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, event, text

from instances import Instance
from jobcron import ConfigurationError, JobStatus
from jobcron.jobs.moves.undoing import NOT_KEPT
from jobcron.operations import acts
from jobcron.operations.acts import Bulk, act_on_selection
from jobcron.operations.listing import Count
from jobcron.operations.selection import Selection
from jobcron.operations.undo import find_act, recent_acts, undo_act
from jobcron.testing import JobFactory

W, R, C, F, S, X, E, B = JobStatus


def make(instance: Instance, *statuses: JobStatus) -> list[int]:
    """Commit a job with each of these statuses, and return their numbers."""
    with instance.session() as session:
        return [JobFactory(session).makeJob(status).id for status in statuses]


def statuses(instance: Instance) -> list[JobStatus]:
    """Return the statuses of all jobs."""
    return [row.status for row in instance.rows()]


@pytest.mark.feature("OCQ-05")
def test_an_act_is_undone_by_its_number_as_far_as_jobs_have_not_moved(instance: Instance) -> None:
    numbers = make(instance, F, F, F, C)
    how = Bulk(actor="ada", reason="the disk is back", batch=2, pause=0)
    done = list(act_on_selection(instance.database, acts.retry(), Selection(types=("testing.JOB",)), how))
    number = done[0].act
    assert number is not None
    assert [outcome.act for outcome in done] == [number, number]
    with instance.database.begin(writing=False) as connection:
        act = find_act(connection, number)
    assert (act.name, act.actor, act.reason, act.jobs) == (
        "retry",
        "ada",
        "the disk is back",
        Count(3, is_exact=True),
    )
    instance.query("UPDATE jobcron_job SET priority = 3 WHERE id = :id", id=numbers[1])
    dry = list(undo_act(instance.database, number, Bulk(is_dry=True, batch=2, pause=0)))
    assert [len(outcome.moved) for outcome in dry] == [1, 1]
    assert statuses(instance) == [W, W, W, C]
    undone = list(undo_act(instance.database, number, Bulk(batch=2, pause=0)))
    assert [outcome.moved for outcome in undone] == [(numbers[0],), (numbers[2],)]
    assert undone[0].refused[0].job == numbers[1]
    assert statuses(instance) == [F, W, F, C]
    again = list(undo_act(instance.database, number, Bulk(pause=0)))
    assert [(outcome.moved, len(outcome.refused)) for outcome in again] == [((), 1)]
    with instance.database.begin(writing=False) as connection:
        assert [(one.id, one.jobs.number) for one in recent_acts(connection)] == [(number, 1)]


def test_an_act_that_older_code_has_kept_with_fewer_columns_is_undone(instance: Instance) -> None:
    (number,) = make(instance, W)
    (done,) = act_on_selection(instance.database, acts.postpone(timedelta(hours=1)), Selection(ids=(number,)))
    for name in ("before", "after"):
        sql = f"SELECT {name} FROM jobcron_undo"
        kept = {key: value for key, value in json.loads(instance.query(sql)[0][0]).items() if key != "asked_start"}
        instance.query(f"UPDATE jobcron_undo SET {name} = :kept", kept=json.dumps(kept))
    assert done.act is not None
    assert [undone.moved for undone in undo_act(instance.database, done.act)] == [(number,)]


def test_what_moves_nothing_or_is_dry_has_no_number(instance: Instance) -> None:
    (number,) = make(instance, C)
    selection = Selection(ids=(number,))
    dry = Bulk(is_dry=True)
    for act, how in ((acts.resume(), Bulk()), (acts.retry(), dry), (acts.delete(), dry)):
        (outcome,) = act_on_selection(instance.database, act, selection, how)
        assert outcome.act is None
    with instance.database.begin(writing=False) as connection:
        assert recent_acts(connection) == []
        with pytest.raises(ConfigurationError, match="expected the number of an act, got: 17; the newest is none"):
            find_act(connection, 17)
    with pytest.raises(ConfigurationError, match="got: 17"):
        list(undo_act(instance.database, 17))


@pytest.mark.feature("OCQ-05")
def test_who_deleted_jobs_is_told_and_they_do_not_come_back(instance: Instance) -> None:
    made = make(instance, C, X, W, C)
    how = Bulk(actor="ada", reason="too old", batch=1, pause=0)
    done = list(act_on_selection(instance.database, acts.delete(), Selection(queue="default"), how))
    assert [len(outcome.moved) for outcome in done] == [1, 1, 1]
    (number,) = {outcome.act for outcome in done}
    assert number is not None
    with instance.database.begin(writing=False) as connection:
        (act,) = recent_acts(connection)
    assert (act.id, act.actor, act.reason, act.jobs.number) == (number, "ada", "too old", 0)
    assert act.name == "delete jobs with statuses COMPLETED CANCELLED EXPIRED, queue default"
    told = f"act {number}, {act.name} by ada, cannot be undone: what was deleted does not come back"
    with pytest.raises(ConfigurationError, match=told):
        list(undo_act(instance.database, number))
    assert [row.id for row in instance.rows()] == [made[2]]
    assert instance.query("SELECT count(*) FROM jobcron_undo") == [(0,)]


def test_who_deleted_jobs_in_a_transaction_of_the_application_is_told(instance: Instance) -> None:
    made = make(instance, *[C] * 12, W)
    with instance.database.begin() as connection:
        outcome = acts.act_on_jobs(connection, acts.delete(), made, actor="ada", reason="why not")
        refused = acts.act_on_jobs(connection, acts.delete(), made[-1:], actor="eve")
        assert (refused.moved, refused.act) == ((), None)
        (act,) = recent_acts(connection)
    assert (act.id, act.actor, act.reason) == (outcome.act, "ada", "why not")
    assert act.name == f"delete jobs {', '.join(map(str, made[:10]))} and 2 more"


def test_an_act_of_code_that_did_not_know_of_channels_is_undone(instance: Instance) -> None:
    (number,) = make(instance, W)
    (done,) = act_on_selection(instance.database, acts.set_priority(3), Selection(ids=(number,)))
    assert done.act is not None
    ((before, after),) = instance.query("SELECT before, after FROM jobcron_undo")
    old = {name: json.dumps({key: value for key, value in json.loads(text).items() if key != "channel"})
           for name, text in (("before", before), ("after", after))}  # fmt: skip
    assert "channel" in before
    instance.query("UPDATE jobcron_undo SET before = :before, after = :after", **old)
    (undone,) = undo_act(instance.database, done.act)
    assert (undone.moved, instance.row(number).priority) == ((number,), 10)


def test_a_job_that_is_deleted_since_is_refused(instance: Instance) -> None:
    numbers = make(instance, W, W)
    (done,) = act_on_selection(instance.database, acts.cancel(), Selection(ids=tuple(numbers)))
    list(act_on_selection(instance.database, acts.delete(), Selection(ids=(numbers[0],))))
    assert done.act is not None
    (undone,) = undo_act(instance.database, done.act)
    assert undone.moved == (numbers[1],)
    assert [refusal.reason for refusal in undone.refused] == ["there is no such job"]


def test_acts_go_with_the_old_events(instance: Instance) -> None:
    (number,) = make(instance, W)
    list(act_on_selection(instance.database, acts.cancel(), Selection(ids=(number,))))
    instance.configure("keep_events: 30d")
    instance.command("prune")
    assert instance.query("SELECT count(*) FROM jobcron_undo") == [(1,)]
    instance.query("UPDATE jobcron_act SET at = :then", then="2020-01-01 00:00:00.000000")
    instance.command("prune")
    assert instance.query("SELECT count(*) FROM jobcron_act") == [(0,)]
    assert instance.query("SELECT count(*) FROM jobcron_undo") == [(0,)]


def before_lock(instance: Instance, number: int, then: Callable[[], object]) -> None:
    """Let something happen before the first, second, … statement that passes over locked rows."""
    seen = []

    def execute(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "SKIP LOCKED" in statement:
            seen.append(statement)
            if len(seen) == number:
                then()

    event.listen(instance.database.engine, "before_cursor_execute", execute)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_another_session_is_about_to_change_is_not_put_back_over_that_change(
    instance: Instance,
) -> None:
    held, free = make(instance, W, W)
    other = create_engine(instance.url).connect()
    other.execute(text("UPDATE jobcron_job SET status = 4 WHERE id = :id"), {"id": held})
    before_lock(instance, 2, other.commit)
    (done,) = act_on_selection(instance.database, acts.set_priority(3), Selection(ids=(held, free)), Bulk(pause=0))
    other.commit()
    other.close()
    assert done.act is not None
    assert (done.moved, [refusal.job for refusal in done.refused]) == ((free,), [held])
    list(undo_act(instance.database, done.act, Bulk(pause=0)))
    assert statuses(instance) == [S, W]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_somebody_else_undoes_at_the_same_time_is_refused(instance: Instance) -> None:
    (number,) = make(instance, W)
    (done,) = act_on_selection(instance.database, acts.cancel(), Selection(ids=(number,)))
    act = done.act
    assert act is not None
    before_lock(instance, 1, lambda: list(undo_act(instance.database, act, Bulk(pause=0))))
    (outcome,) = undo_act(instance.database, act, Bulk(pause=0))
    assert (outcome.moved, [refusal.reason for refusal in outcome.refused]) == ((), [NOT_KEPT])
    assert statuses(instance) == [W]
