"""Every system call on lock, settings, reports and log fails once; in full size each of them also for good."""

from __future__ import annotations

import errno
import random

import pytest

from proving import IS_CHAOS, JOBS, Proof, Runs, drain, forget_state, unpublished_aside

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE)


@pytest.mark.feature("LP-18", "LP-19", "LP-25")
@pytest.mark.parametrize("lasting", [False, True], ids=["for a moment", "for good"])
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_file_that_fails_costs_no_job_and_no_report(proof: Proof, lasting: bool) -> None:
    with Runs(proof) as runs:
        proof.make(JOBS)
        runs.warm()
        runs.run()
        forget_state(proof)
        proof.make(JOBS)
        options = [f"--log-file=DEBUG:{proof.path / 'instance' / 'state' / 'log' / 'work.log'}"]
        calls = runs.run(options=options)["calls"]
        assert calls > 15, "too few system calls to prove anything"
        first_place, step = (1, 1) if IS_CHAOS else (random.randint(1, 2), 5 if lasting else 2)
        for place in range(first_place, calls + 1, step):
            for number in ERRORS if IS_CHAOS else (ERRORS[place % len(ERRORS)],):
                forget_state(proof)
                first, *_ = proof.make(JOBS)
                before = len(runs.log())
                order = {"fail_at": place, "errno": number, "lasting": lasting, "options": options}
                status = runs.run(**order)["status"]
                said = runs.log()[before:]
                where = f"call {place} of {calls} failed with {errno.errorcode[number]}: status {status}\n{said}"
                assert status in (0, 1), where
                assert "\nTraceback" not in said, where  # inside the whole text of a report it may be
                drain(proof, runs)
                found = unpublished_aside(proof, proof.verdict(since=first, crash_limit=10))
                assert found == [], f"{found}\n{where}"
