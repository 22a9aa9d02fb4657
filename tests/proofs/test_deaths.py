"""Death at every line: SIGKILL before a line that a run executes; a second runner drains; the judge looks."""

from __future__ import annotations

import random
import signal

import pytest

from proving import GROUPED, IS_CHAOS, JOBS, LIMITED, SAMPLE, Proof, Runs, drain, drawn

FUNCTIONS = ("function", "function_failing", "function_retried", "function_unique", "function")

ISOLATED_SAMPLE = 200 if IS_CHAOS else min(6, SAMPLE)
"""Deaths of the parent of isolated jobs: each run starts a process of its own, which takes its time."""


def lines_of_a_run(proof: Proof, runs: Runs, jobs: tuple[str, ...], section: str) -> list[int]:
    """Return which lines a run executes; the first one does more than those after it."""
    found = []
    proof.make(jobs)
    runs.warm(section)
    for _ in range(2):
        proof.make(jobs)
        found = runs.lines(section=section)
        drain(proof, runs, section=section)  # what is to be retried
        assert proof.verdict(is_calm=True) == []
    return found


@pytest.mark.feature("LP-01", "LP-18", "LP-23")
@pytest.mark.parametrize(
    ("section", "jobs", "sample"),
    [
        pytest.param("work", JOBS, SAMPLE, id="work"),
        pytest.param("grouped", GROUPED, min(10, SAMPLE), id="grouped"),
        pytest.param("work", LIMITED, min(5, SAMPLE), id="limited"),
        pytest.param("functions", FUNCTIONS, min(5, SAMPLE), id="functions", marks=pytest.mark.feature("DJF-06")),
    ],
)
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_death_at_any_line_loses_nothing_and_doubles_nothing(
    proof: Proof, section: str, jobs: tuple[str, ...], sample: int
) -> None:
    with Runs(proof) as runs:
        places = drawn(lines_of_a_run(proof, runs, jobs, section), sample, random.randrange(1 << 32))
        deaths = over = 0
        for place in places:
            first, *_ = proof.make(jobs)
            if place % 4 == 0:  # a job whose process died before is taken over, and may die again
                proof.query("UPDATE jobcron_job SET crash_count = 1, attempt_count = 1 WHERE id = :id", id=first)
            ended = runs.run(die_at=place, section=section)
            deaths += ended["status"] == -signal.SIGKILL
            over += ended["status"] == 0 and ended["lines"] < place  # runs differ by a few lines
            drain(proof, runs, section=section, at_once=place % 2 == 1)
            found = proof.verdict(since=first, crash_limit=10)
            assert found == [], f"killed before line {place} of the run: {found}"
        assert deaths >= (len(places) - over) * 0.8 > len(places) * 0.6  # else nothing was proven


@pytest.mark.feature("LP-23", "LP-24")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_death_of_the_parent_of_isolated_jobs_loses_nothing_and_doubles_nothing(proof: Proof) -> None:
    path = proof.path / "instance" / "jobcron.conf"
    path.write_text(path.read_text() + "runner_class: ProcessJobRunner\n")
    jobs = JOBS[:4]
    with Runs(proof) as runs:
        proof.make(jobs)
        lines = runs.lines()
        assert proof.verdict(is_calm=True) == []
        seed = random.randrange(1 << 32)
        print(f"{len(lines)} executed lines; seed {seed}")
        deaths = 0
        # How often the parent looks at its child differs from run to run, and with it the number of lines.
        for place in sorted(random.Random(seed).sample(range(1, len(lines)), ISOLATED_SAMPLE)):
            first, *_ = proof.make(jobs)
            deaths += runs.run(die_at=place)["status"] == -signal.SIGKILL
            drain(proof, runs, at_once=place % 2 == 1)
            found = proof.verdict(since=first, crash_limit=10)
            assert found == [], f"killed before line {place} of the run: {found}"
        assert deaths > ISOLATED_SAMPLE * 0.5
