"""Jobs that share transactions: what becomes of them is what would have become of them one by one."""

from __future__ import annotations

from typing import Any

from instances import Instance
from jobcron import JobStatus

WRITE = ("write", "done")


def test_jobs_of_a_group_are_completed_by_one_commit(grouped: Instance, groups: list[Any]) -> None:
    jobs = [grouped.act(WRITE) for _ in range(20)]
    log = grouped.run("act")
    assert "rolled back" not in log
    assert [row.status for row in grouped.rows()] == [JobStatus.COMPLETED] * 20
    assert grouped.ledger() == [(job, 1, "done") for job in jobs]
    assert [len(group.ended) for group in groups] == [1, 2, 4, 8, 4, 0]
    assert "Ran 20 ActJob jobs." in log
    assert grouped.query("SELECT count(*) FROM jobcron_group_run") == [(0,)]
    assert grouped.query("SELECT completed, incomplete FROM jobcron_run") == [(20, 0)]
