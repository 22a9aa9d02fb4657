"""What a job waits for, what waits for it, and how those have ended."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from jobcron import Job, JobStatus, chain, group
from jobcron.jobs.graphs.reading import count_predecessors, predecessors_of, successors_of

app: Any = typed_app


@pytest.mark.feature("OCQ-11")
def test_both_ends_of_edges_can_be_read(session: Session) -> None:
    a, b, c, d = (app.export.options(description=name).planned(name) for name in "abcd")
    made = group(a, b).on_end(c).create(session=session)
    chain(session.get_one(Job, made[c]), d).create(session=session)
    session.get_one(Job, made[a]).cancel()
    before = predecessors_of(session.connection(), made[c])
    assert [(n.id, n.status, n.any_end, n.is_met, n.description) for n in before] == [
        (made[a], JobStatus.CANCELLED, True, True, "a"),
        (made[b], JobStatus.WAITING, True, False, "b"),
    ]
    assert before[0].type == "FunctionJobType.CALL"
    assert before[0].data is not None
    assert before[0].data["arguments"] == ["a"]
    (unmet,) = predecessors_of(session.connection(), made[c], only_unmet=True)
    assert str(unmet) == f"job {made[b]} (FunctionJobType.CALL), which is WAITING"
    assert (unmet.has_ended, before[0].has_ended) == (False, True)
    (after,) = successors_of(session.connection(), made[c])
    assert (after.description, after.any_end, after.is_met) == ("d", False, False)
    assert [n.id for n in predecessors_of(session.connection(), made[c], limit=1)] == [made[a]]


@pytest.mark.feature("OCQ-11")
def test_predecessors_are_counted_by_status(session: Session) -> None:
    jobs = [app.export.planned(name) for name in "abc"]
    last = app.export.planned("d")
    made = group(*jobs).on_end(last).create(session=session)
    session.get_one(Job, made[jobs[0]]).complete()
    session.get_one(Job, made[jobs[1]]).cancel()
    counted = count_predecessors(session.connection(), made[last])
    assert counted == Counter({JobStatus.COMPLETED: 1, JobStatus.CANCELLED: 1, JobStatus.WAITING: 1})


@pytest.mark.feature("OCQ-11")
def test_a_predecessor_that_was_deleted_is_still_named(session: Session) -> None:
    a, b = app.export.planned("a"), app.export.planned("b")
    made = chain(a, b).create(session=session)
    session.delete(session.get_one(Job, made[a]))
    session.flush()
    (gone,) = predecessors_of(session.connection(), made[b])
    assert (gone.id, gone.status, gone.has_ended) == (made[a], None, True)
    assert str(gone) == f"job {made[a]}, which was deleted"
