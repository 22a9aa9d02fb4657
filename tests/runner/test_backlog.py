"""The jobs that a run has claimed and not started: in which order they run, go back, or are found to be lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

import pytest

from jobcron.database.database import TransactionSource
from jobcron.jobs.lease import Claim
from jobcron.queue.loading import Claimed
from jobcron.queue.views import RunnableView
from jobcron.runner._backlog import Backlog, give_back


def entry(number: int) -> Claimed:
    """Return a claimed job; nobody looks at the job itself."""
    return Claimed(Claim(number, 1), cast("RunnableView", None))


@pytest.fixture
def backlog() -> Backlog:
    """Return a backlog of jobs 1, 2 and 3."""
    found = Backlog()
    found.extend(map(entry, (1, 2, 3)))
    return found


def left(backlog: Backlog) -> list[int]:
    """Take all jobs out, and return their numbers."""
    found = []
    while (job := backlog.next()) is not None:
        found.append(job.claim.id)
    return found


def test_jobs_run_in_the_order_of_their_claim_and_go_back_from_the_end(backlog: Backlog) -> None:
    written: list[int] = []
    assert backlog.first == entry(1)
    assert backlog.give_back(lambda claim: written.append(claim.id))
    assert written == [3]
    assert (len(backlog), left(backlog)) == (2, [1, 2])
    assert not backlog.give_back(lambda claim: written.append(claim.id))
    assert backlog.first is None
    assert written == [3]


def test_a_job_that_could_not_be_given_back_is_still_there_and_none_has_returned(backlog: Backlog) -> None:
    def refuse(claim: Claim) -> None:
        raise OSError("the database is away")

    with pytest.raises(OSError, match="away"):
        backlog.give_back(refuse)
    assert not backlog.has_returned()
    assert left(backlog) == [1, 2, 3]


def test_that_a_job_has_returned_is_told_once(backlog: Backlog) -> None:
    assert not backlog.has_returned()
    backlog.give_back(lambda claim: None)
    assert backlog.has_returned()
    assert not backlog.has_returned()


def test_a_look_removes_and_returns_those_that_are_no_longer_ours(backlog: Backlog) -> None:
    def still(claims: Sequence[Claim]) -> Collection[Claim]:
        assert list(claims) == [Claim(1, 1), Claim(2, 1), Claim(3, 1)]
        return {Claim(1, 1), Claim(3, 1)}

    assert backlog.look(still) == [entry(2)]
    assert left(backlog) == [1, 3]


def test_what_was_seen_counts_for_one_claim_and_for_some_time() -> None:
    backlog = Backlog()
    assert not backlog.has_seen(entry(1), 3600.0)
    backlog.saw(Claim(1, 1))
    assert backlog.has_seen(entry(1), 3600.0)
    assert not backlog.has_seen(entry(1), 0.0)
    assert not backlog.has_seen(entry(2), 3600.0)


def test_jobs_are_given_back_only_as_long_as_whoever_asked_wants_it(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, int]] = []

    def write(database: object, claim: Claim, outcome: object, *, tries: int) -> None:
        written.append((claim.id, tries))

    monkeypatch.setattr("jobcron.runner._backlog.set_aside", write)
    database = cast("TransactionSource", None)
    answers = iter([True, True, False])
    give_back(database, backlog, 1, lambda: next(answers))
    assert (written, len(backlog)) == ([(3, 1), (2, 1)], 1)
    give_back(database, backlog, 4)
    assert (written, len(backlog)) == ([(3, 1), (2, 1), (1, 4)], 0)
