"""Groups of a section that runs on one host at a time: they commit as long as the section's lock is the run's."""

from __future__ import annotations

import pytest

from hostapp import GroupedJob
from hosts import CLUSTER, row_of
from instances import Instance
from jobcron import JobStatus
from runner_processes import make, started

WRITE = ("write", "done")

TAKE = ("sql", "UPDATE jobcron_lock SET token = token + 1")
"""As if another run had taken the lock: PostgreSQL keeps others from that while the group's transaction lasts."""


@pytest.mark.feature("LP-32")
def test_a_group_whose_run_has_lost_the_lock_of_its_section_commits_nothing_and_no_job_follows(
    instance: Instance,
) -> None:
    section = CLUSTER.format(lease="1h", more="").replace("fooapp.IActJobSource", "hostapp.GroupedJob")
    instance.configure(sections=section)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "hostapp:register_with_long_groups"))
    before = [make(instance, GroupedJob, WRITE) for _ in range(2)]  # one by itself, and a group of one
    after = [make(instance, GroupedJob, *actions) for actions in ([WRITE, TAKE], [WRITE], [WRITE])]
    with started(instance, "act") as run:
        log = run.end(3)
    assert "group of 2 jobs was rolled back" in log
    assert "belongs to a run that has lost the lock of its section" in log
    assert "the run has lost the lock of section act" in log
    assert [job for job, _, _ in instance.ledger()] == before
    assert {instance.row(job).status for job in before} == {JobStatus.COMPLETED}
    rows = [instance.row(job) for job in after]
    assert [(row.status, row.attempt_count, row.crash_count) for row in rows] == [(JobStatus.WAITING, 0, 0)] * 3
    assert row_of(instance).token == 1  # what took it is rolled back as well
