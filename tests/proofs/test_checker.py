"""The judge of the proofs: what it is there to find it finds, each by the rule that is meant, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from checker import (
    BLOCKED,
    CANCELLED,
    COMPLETED,
    EXPIRED,
    FAILED,
    RUNNING,
    SUSPENDED,
    WAITING,
    Evidence,
    Limit,
    Mark,
    judge,
)

REPORT = "OOPS-P1-1-00000000"

OVERLAPPING = [Mark("begin", 1, 1, 9, 10), Mark("begin", 1, 2, 8, 20), Mark("end", 1, 1, 9, 30)]
"""Two attempts at once, the first of which went on although it had lost its lease."""


def evidence(kind: str = "ledger", row: dict[str, Any] | None = None, **changed: Any) -> Evidence:
    """Return what one job leaves that was done in its first attempt, but for what is changed."""
    values = {
        "id": 1, "status": COMPLETED, "lease_token": 1, "attempt_count": 1, "crash_count": 0, "oops_id": None,
        "unique_key": None, "claimed_by": "w", "log": None, "priority": 0, "date_created": 0, "begun_token": 0,
        "expires_at": None,
    }  # fmt: skip
    base: dict[str, Any] = {
        "jobs": {1: SimpleNamespace(**{**values, **(row or {})})},
        "kinds": {1: kind},
        "ledger": [(1, 1, "done")],
        "money": 8000,
        "moves": [(1, WAITING, RUNNING, 0, 1), (1, RUNNING, COMPLETED, 1, 1)],
        "events": defaultdict(Counter),
        "interrupted": defaultdict(list),
        "afresh": {},
        "reports": {},
        "counted": 1,
        "completed": 1,
        "journal": [Mark("begin", 1, 1, 9, 10), Mark("end", 1, 1, 9, 20)],
        "crash_limit": 3,
        "money_before": 8000,
        "is_calm": False,
    }
    return Evidence(**{**base, **changed})


def failed(kind: str, *, crashes: int = 0, **changed: Any) -> Evidence:
    """Return what one job leaves that failed with a report."""
    row = {"status": FAILED, "oops_id": REPORT, "crash_count": crashes}
    values = {"ledger": [], "counted": 0, "completed": 0, "reports": {(1, 1): [REPORT]}, **changed}
    moves = [(1, WAITING, RUNNING, 0, 1), (1, RUNNING, FAILED, 1, 1)]
    return evidence(kind, row, moves=moves, **values)


def superseded(**changed: Any) -> Evidence:
    """Return what a job leaves that was interrupted, and met another one with its key."""
    row = {"status": CANCELLED, "attempt_count": 0}
    moves = [(1, WAITING, RUNNING, 0, 1), (1, RUNNING, CANCELLED, 1, 1)]
    values = {"ledger": [], "counted": 0, "completed": 0, "interrupted": {1: [1]}, **changed}
    return evidence("unique", row, moves=moves, events={1: Counter(superseded=1)}, **values)


def expired(expires_at: str | None = "2026-01-01", **changed: Any) -> Evidence:
    """Return what a job leaves that nobody began before its expiry."""
    row = {"status": EXPIRED, "lease_token": 0, "attempt_count": 0, "expires_at": expires_at}
    values = {"ledger": [], "counted": 0, "completed": 0, "journal": [], **changed}
    return evidence(row=row, moves=[(1, WAITING, EXPIRED, 0, 0)], **values)


def idle(**changed: Any) -> Evidence:
    """Return what a job leaves that did nothing in the database."""
    return evidence("idle", **{"ledger": [], **changed})


def done_at_last(*between: tuple[int, int], **changed: Any) -> Evidence:
    """Return what a job leaves that was claimed, made these moves, and was claimed again and done."""
    moves = [(1, WAITING, RUNNING, 0, 1), *((1, old, new, 1, 1) for old, new in between)]
    values: dict[str, Any] = {
        "row": {"lease_token": 2},
        "ledger": [(1, 2, "done")],
        "moves": [*moves, (1, WAITING, RUNNING, 1, 2), (1, RUNNING, COMPLETED, 2, 2)],
        "journal": [Mark("begin", 1, 1, 9, 10), Mark("begin", 1, 2, 9, 20), Mark("end", 1, 2, 9, 30)],
    }
    return evidence(**{**values, **changed})


def stopped_before_it_began(**changed: Any) -> Evidence:
    """Return what a job leaves that a run had claimed, and put back when it was asked to stop."""
    values = {"journal": [Mark("begin", 1, 2, 9, 20), Mark("end", 1, 2, 9, 30)], "interrupted": {1: [1]}}
    return done_at_last((RUNNING, WAITING), **{**values, **changed})


def resumed(**changed: Any) -> Evidence:
    """Return what a job leaves that was tried, suspended while it waited, and resumed: its counts began again."""
    moves = (RUNNING, WAITING), (WAITING, SUSPENDED), (SUSPENDED, WAITING)
    return done_at_last(*moves, **{"afresh": {1: 1}, **changed})


def resumed_after_deaths(**changed: Any) -> Evidence:
    """Return what a job leaves whose process died three times; an operator resumed it after the second one."""
    deaths = [(1, RUNNING, RUNNING, token, token + 1) for token in (1, 3, 4)]
    back, again = [(1, RUNNING, WAITING, 2, 2)], [(1, WAITING, RUNNING, 2, 3)]
    suspended = [(1, WAITING, SUSPENDED, 2, 2), (1, SUSPENDED, WAITING, 2, 2)]
    moves = [(1, WAITING, RUNNING, 0, 1), deaths[0], *back, *suspended, *again, *deaths[1:]]
    begun = [Mark("begin", 1, token, 9, 10 * token) for token in range(1, 6)]
    values: dict[str, Any] = {
        "row": {"lease_token": 5, "attempt_count": 3, "crash_count": 2},
        "ledger": [(1, 5, "done")],
        "moves": [*moves, (1, RUNNING, COMPLETED, 5, 5)],
        "journal": [*begun, Mark("end", 1, 5, 9, 60)],
        "afresh": {1: 2},
    }
    return evidence(**{**values, **changed})


@pytest.mark.parametrize(
    "found",
    [
        evidence(),
        evidence(is_calm=True),
        idle(),
        failed("failing"),
        failed("user", crashes=3),  # ended by its deaths: no user's error
        superseded(),
        expired(),
        stopped_before_it_began(),
        resumed(),
        resumed_after_deaths(),
        evidence("fresh"),
        evidence(journal=[Mark("old", 1, 1, 9, 9), *evidence().journal]),
    ],
)
def test_nothing_is_said_of_what_is_right(found: Evidence) -> None:
    assert judge(found) == []


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (evidence(jobs={}), "i1"),
        (evidence(kinds={}), "i1"),
        (evidence(row={"status": WAITING}), "i1"),
        (evidence(ledger=[]), "i2"),
        (evidence(ledger=[(1, 1, "done")] * 2), "i2"),
        (evidence(ledger=[(1, 1, "done"), (1, 1, "never")]), "i2"),
        (evidence(row={"lease_token": 2}), "i2"),  # a stale attempt has committed
        (evidence(money=7993), "i2"),
        (idle(journal=[Mark("begin", 1, 1, 9, 10)]), "i2"),  # completed, and never run to its end
        (idle(journal=[Mark("begin", 1, 1, 9, 10), Mark("end", 1, 0, 9, 20)]), "i2"),
        (evidence(row={"status": RUNNING}), "i3"),
        (evidence("failing"), "i3"),
        (expired(None), "i3"),
        (expired(journal=[Mark("begin", 1, 1, 9, 10)], interrupted={1: [1]}), "i3"),
        (evidence(journal=OVERLAPPING), "i4"),
        (evidence(journal=[Mark("begin", 1, 1, 9, 10)] * 2), "i4"),
        (failed("failing", reports={}), "i5"),
        (failed("failing", reports={(1, 1): [REPORT, "another"]}), "i5"),
        (failed("user"), "i5"),
        (failed("user", crashes=3, reports={}), "i5"),
        (evidence(reports={(1, 1): [REPORT]}), "i5"),
        (evidence(row={"attempt_count": 0}), "i7"),
        (evidence(row={"attempt_count": 2}), "i7"),
        (evidence(interrupted={1: [1]}), "i7"),
        (superseded(interrupted={1: []}), "i7"),
        (stopped_before_it_began(row={"lease_token": 2, "attempt_count": 0}), "i7"),
        (resumed(afresh={}), "i7"),
        (resumed_after_deaths(afresh={}), "i12"),
        (evidence(moves=[(1, CANCELLED, RUNNING, 0, 1)]), "i8"),
        (evidence(moves=[(1, WAITING, RUNNING, 1, 1)]), "i8"),
        (evidence(moves=[(1, WAITING, RUNNING, 2, 1)]), "i8"),
        (evidence(moves=[(1, WAITING, RUNNING, 0, 1), (1, WAITING, RUNNING, 1, 2)]), "i8"),
        (evidence(counted=2), "i10"),
        (evidence(counted=0, is_calm=True), "i10"),
        (failed("poison", crashes=2), "i12"),
        (
            evidence(
                moves=[(1, WAITING, RUNNING, 0, 1), *((1, RUNNING, RUNNING, n, n + 1) for n in (1, 2, 3))],
                journal=[Mark("begin", 1, token, 9, 10 * token) for token in (1, 2, 3, 4)],
            ),
            "i12",
        ),
        (failed("failing", crashes=4), "i12"),
        (evidence("fresh", journal=[Mark("old", 1, 1, 9, 9), *evidence().journal]), "i15"),
        (evidence("fresh", row={"status": WAITING}), "i1"),
    ],
)
def test_each_rule_finds_what_it_is_there_for(found: Evidence, rule: str) -> None:
    assert {violation.split("_")[0] for violation in judge(found)} >= {rule}


def test_two_jobs_with_one_key_that_wait_are_found() -> None:
    one, other = (
        SimpleNamespace(**{**vars(evidence().jobs[1]), "status": WAITING, "unique_key": "k"}) for _ in "12"
    )
    assert any(violation.startswith("i9") for violation in judge(evidence(jobs={1: one, 2: other})))


def test_jobs_that_began_out_of_order_are_found() -> None:
    jobs = {n: SimpleNamespace(**{**vars(evidence().jobs[1]), "id": n}) for n in (1, 2)}
    journal = [Mark("begin", 2, 1, 9, 10), Mark("begin", 1, 1, 9, 20)]
    found = judge(evidence(jobs=jobs, journal=journal, is_calm=True))
    assert any(violation.startswith("i6") for violation in found)


def two_jobs(moves: list[tuple[int, int, int, int, int]], statuses: tuple[int, int], **changed: Any) -> list[str]:
    """Return what is said of two jobs of a channel that made these moves, one a second, by the new rules only."""
    row = {"channel": "root.a.b", "channel_key": "7"}
    rows = {n: SimpleNamespace(**{**vars(evidence().jobs[1]), **row, "status": statuses[n - 1]}) for n in (1, 2)}
    base = {"jobs": rows, "moves": moves, "moments": range(len(moves)), "lease_seconds": 10.0}
    return [said for said in judge(evidence(**{**base, **changed})) if said.startswith(("i13", "i14"))]


BOTH_RUN = [(1, WAITING, RUNNING, 0, 1), (2, WAITING, RUNNING, 0, 1)]

IN_TURN = [BOTH_RUN[0], (1, RUNNING, COMPLETED, 1, 1), BOTH_RUN[1]]


@pytest.mark.parametrize(
    ("moves", "limit", "lease", "is_found"),
    [
        (BOTH_RUN, Limit("root.a", 1), 10.0, True),
        (BOTH_RUN, Limit("root.a.b", 1, is_per_key=True), 10.0, True),
        (BOTH_RUN, Limit("root.a", 2), 10.0, False),
        (BOTH_RUN, Limit("root.x", 1), 10.0, False),
        (BOTH_RUN, Limit("root.a", 1), 0.5, False),  # the lease was over
        (IN_TURN, Limit("root.a", 1), 10.0, False),
    ],
)
def test_a_limit_that_was_exceeded_is_found(
    moves: list[tuple[int, int, int, int, int]], limit: Limit, lease: float, is_found: bool
) -> None:
    found = two_jobs(moves, (COMPLETED, COMPLETED), limits=[limit], lease_seconds=lease)
    assert [said[:3] for said in found] == ["i13"] * is_found


def test_a_successor_that_started_too_early_or_was_left_is_found() -> None:
    early = two_jobs([*BOTH_RUN, (1, RUNNING, COMPLETED, 1, 1)], (COMPLETED, COMPLETED), edges=[(2, 1)])
    assert early == ["i14_order_of_graphs: job 2 started before its predecessor 1 had completed"]
    assert two_jobs(IN_TURN, (COMPLETED, COMPLETED), edges=[(2, 1)]) == []
    left = two_jobs(IN_TURN[:2], (COMPLETED, BLOCKED), edges=[(2, 1)])
    assert left == ["i14_order_of_graphs: job 2 is BLOCKED, and all that it waited for are done: [1]"]
    assert two_jobs([], (FAILED, BLOCKED), edges=[(2, 1)]) == []
