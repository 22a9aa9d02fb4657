"""The judge of the proofs: what it is there to find it finds, each by the rule that is meant, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from checker import CANCELLED, COMPLETED, FAILED, RUNNING, WAITING, Evidence, Mark, judge

REPORT = "OOPS-P1-1-00000000"

OVERLAPPING = [Mark("begin", 1, 1, 9, 10), Mark("begin", 1, 2, 8, 20), Mark("end", 1, 1, 9, 30)]
"""Two attempts at once, the first of which went on although it had lost its lease."""


def evidence(kind: str = "ledger", row: dict[str, Any] | None = None, **changed: Any) -> Evidence:
    """Return what one job leaves that was done in its first attempt, but for what is changed."""
    values = {
        "id": 1, "status": COMPLETED, "lease_token": 1, "attempt_count": 1, "crash_count": 0, "oops_id": None,
        "unique_key": None, "claimed_by": "w", "log": None, "priority": 0, "date_created": 0,
    }  # fmt: skip
    base: dict[str, Any] = {
        "jobs": {1: SimpleNamespace(**{**values, **(row or {})})},
        "kinds": {1: kind},
        "ledger": [(1, 1, "done")],
        "money": 8000,
        "moves": [(1, WAITING, RUNNING, 0, 1), (1, RUNNING, COMPLETED, 1, 1)],
        "events": defaultdict(Counter),
        "interrupted": defaultdict(list),
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


@pytest.mark.parametrize(
    "found",
    [
        evidence(),
        evidence(is_calm=True),
        failed("failing"),
        failed("user", crashes=3),  # ended by its deaths: no user's error
        superseded(),
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
        (evidence(row={"status": RUNNING}), "i3"),
        (evidence("failing"), "i3"),
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
                journal=[Mark("begin", 1, 4, 9, 10)],
            ),
            "i12",
        ),
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
