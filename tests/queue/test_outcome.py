"""Outcomes of attempts: suspension, and one that cannot be printed."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron import JobStatus

WRITE = ("write", "effect")


@pytest.mark.feature("LP-22")
def test_a_job_that_suspends_itself_waits_until_it_is_resumed(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "suspend"))
    instance.run("act")
    assert instance.row(job).status is JobStatus.SUSPENDED
    assert instance.ledger() == []
    with instance.session() as session:
        row = session.get_one(type(instance.row(job)), job)
        row.resume()
        row.json_data["do"] = [list(WRITE)]
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.events(job) == ["suspended", "resumed"]


def test_a_suspension_that_cannot_be_printed_is_one_all_the_same(instance: Instance) -> None:
    job = instance.act(("raise", "unprintable suspension"))
    neighbour = instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.SUSPENDED
    assert instance.row(neighbour).status is JobStatus.COMPLETED
