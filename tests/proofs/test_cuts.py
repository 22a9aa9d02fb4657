"""A cut at every message between runner and PostgreSQL: before it arrives or after, for a moment or for good."""

from __future__ import annotations

import os
import random

import pytest
from sqlalchemy.engine import make_url

from faulty_proxy import Cut, FaultyProxy
from jobcron.testing.server import PrivatePostgreSQL
from proving import GROUPED, IS_CHAOS, JOBS, LIMITED, Proof, Runs, drain

SAMPLE = int(os.environ.get("PROOF_SAMPLE", 5))
"""Cuts of each kind, at other messages in each run; in ``make test`` 40 in all."""


@pytest.mark.feature("LP-01", "LP-19", "LP-23")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("stays_down", [False, True], ids=["for a moment", "for good"])
@pytest.mark.parametrize(
    ("section", "jobs", "sample"),
    [
        pytest.param("work", JOBS, SAMPLE, id="work"),
        pytest.param("grouped", GROUPED, min(3, SAMPLE), id="grouped"),
        pytest.param("work", LIMITED, min(2, SAMPLE), id="limited"),
    ],
)
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_cut_at_any_message_loses_nothing_and_doubles_nothing(
    proof: Proof,
    server: PrivatePostgreSQL,
    cut: Cut,
    stays_down: bool,
    section: str,
    jobs: tuple[str, ...],
    sample: int,
) -> None:
    with FaultyProxy(server) as proxy, Runs(proof) as runs:
        url = proxy.url(str(make_url(proof.url).database))
        proof.make(jobs)
        runs.warm(section)
        proof.make(jobs)
        proxy.arm_at(1_000_000, cut, stays_down=stays_down)  # only counts
        assert runs.run(url=url, section=section)["status"] == 0, runs.log()
        messages = proxy.messages
        assert messages > 50
        seed = random.randrange(1 << 32)
        print(f"{messages} messages; seed {seed}")
        everywhere = range(1, messages + 1)
        for message in everywhere if IS_CHAOS else sorted(random.Random(seed).sample(everywhere, sample)):
            first, *_ = proof.make(jobs)
            before = len(runs.log())
            proxy.arm_at(message, cut, stays_down=stays_down)
            status = runs.run(url=url, section=section)["status"]
            was_cut = proxy.cuts
            proxy.heal()
            where = f"cut {cut} message {message}: status {status}\n{runs.log()[before:]}"
            assert status in (0, 1), where
            assert "Traceback" not in runs.log()[before:], where
            assert was_cut, where
            drain(proof, runs, section=section)
            found = proof.verdict(since=first, crash_limit=10)
            assert found == [], f"{found}\n{where}"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", ["before", "after", "overtaken"])
def test_a_cut_at_any_commit_settles_what_became_of_it(proof: Proof, server: PrivatePostgreSQL, cut: Cut) -> None:
    with FaultyProxy(server) as proxy, Runs(proof) as runs:
        url = proxy.url(str(make_url(proof.url).database))
        # Of two jobs that begin no transaction, the first is completed behind what clears the session, and the
        # second by a prepared statement.
        counts: list[int] = []
        for section in ("work", "grouped"):
            proof.make(JOBS if section == "work" else GROUPED)
            runs.warm(section)
            drain(proof, runs, section=section)
        for kinds in (["ledger"], ["checkpoint"], ["failing"], ["idle"] * 4, GROUPED[:4]):
            section = "grouped" if kinds == GROUPED[:4] else "work"
            for number in range(1, 9):  # the schema's look, the claim's, the job's own …
                first, *_ = proof.make(kinds)
                proxy.arm(cut, number)
                runs.run(url=url, section=section)
                proxy.heal()
                drain(proof, runs, section=section)
                assert proof.verdict(since=first, crash_limit=10) == [], f"{kinds}, COMMIT {number} cut {cut}"
            counts.append(proxy.cuts)
        assert counts[2] >= 12
        assert counts[3] - counts[2] >= 7  # those of the claims, and all four completions
        assert counts[4] > counts[3]
        assert "lost its lease" not in runs.log()  # nobody else was there to take it
        assert "An action after the commit failed" not in runs.log()  # there was none
