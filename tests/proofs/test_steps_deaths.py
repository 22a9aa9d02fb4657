"""Death at every line of a run of jobs of three tasks: each task has its effect once, and in order."""

from __future__ import annotations

import json
import random
import signal
from collections import defaultdict
from collections.abc import Iterator

import pytest

import checker
import proofapp
from checker import COMPLETED, FAILED, Evidence
from proving import IS_CHAOS, SAMPLE, Proof, Runs, drain, drawn

WORKS, FAILS = ["task 1", "task 2", "task 3"], ["task 1"]

RULES = (checker.i1_none_lost, checker.i5_one_report_each, checker.i8_legal_moves, checker.i10_truthful_counts)


def make(proof: Proof) -> int:
    """Commit three jobs, the second of which fails in its second task; return the first one's number."""
    with proof.database.session() as session:
        numbers = [proofapp.make_steps(session, fail) for fail in (False, True, False)]
        session.commit()
    return numbers[0]


def each_task_once(evidence: Evidence) -> Iterator[str]:
    """Each task's effect is there once, in order, and the workspace and the step say the same."""
    notes = defaultdict(list)
    for job, _, note in evidence.ledger:
        notes[job].append(note)
    for job, row in evidence.jobs.items():
        fails = evidence.kinds[job] == "failing"
        expected = FAILS if fails else WORKS
        # The row is read as SQL has it: on SQLite its data is text.
        data = row.steps if isinstance(row.steps, dict) else json.loads(row.steps)
        found = (row.status, notes[job], len(data["done"]), data["workspace"].get("done"))
        if found != (FAILED if fails else COMPLETED, expected, len(expected), len(expected)):
            yield f"job {job} ({evidence.kinds[job]}): {found}: {row.log}"
        if data["workspace"].get("cleaned", False) is not fails:
            yield f"job {job} ({evidence.kinds[job]}): its failure hook is wrong: {data}"


def verdict(proof: Proof, since: int) -> list[str]:
    """Return every violation, in words."""
    evidence = checker.gather(proof.database.engine, proof.state, since=since, crash_limit=10)
    return [violation for rule in (*RULES, each_task_once) for violation in rule(evidence)]


@pytest.mark.feature("DBQ-02", "DBQ-03")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_death_at_any_line_of_a_job_of_three_tasks_loses_and_doubles_none_of_them(proof: Proof) -> None:
    with Runs(proof) as runs:
        make(proof)
        runs.warm("steps")
        for _ in range(2):  # the first run does more than those after it
            make(proof)
            lines = runs.lines(section="steps")
            assert verdict(proof, 0) == []
        places = drawn(lines, min(8, SAMPLE), random.randrange(1 << 32))
        deaths = 0
        for place in places:
            first = make(proof)
            deaths += runs.run(die_at=place, section="steps")["status"] == -signal.SIGKILL
            # Leases decide, or the next run takes over at once: it knows that whoever held its lock is gone.
            drain(proof, runs, section="steps", at_once=place % 2 == 1)
            found = verdict(proof, first)
            assert found == [], f"killed before line {place} of the run: {found}"
        assert deaths >= len(places) * 0.85  # else nothing was proven
