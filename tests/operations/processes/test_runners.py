"""Who holds claims on jobs, now."""

from __future__ import annotations

import os
from datetime import timedelta

from instances import Instance
from jobcron import load_settings
from jobcron.operations.processes.runners import runner_states
from jobcron.queue.claim import Claimant, claim_one


def test_who_holds_claims_is_told_with_what_tells_that_it_is_dead(instance: Instance) -> None:
    instance.run("act")  # so that the database knows its sections
    settings = load_settings(str(instance.path))
    here = os.uname().nodename
    names = (f"{here}:{os.getpid()}/0a", f"{here}:4194999/0b", "elsewhere:7", "elsewhere:8/0c", "ada@laptop")
    numbers = {}
    for name in names:
        numbers[name] = [instance.act(), instance.act()]
        with instance.session() as session:
            for number in numbers[name]:
                assert claim_one(session.connection(), number, Claimant(name, 300.0))
    instance.end_lease(numbers["elsewhere:8/0c"][0])
    with instance.database.begin(writing=False) as connection:
        found = {runner.name: runner for runner in runner_states(connection, settings)}
    assert list(found) == list(names)
    alive = found[names[0]]
    assert (alive.host, alive.pid, alive.sections, alive.jobs) == (here, os.getpid(), ("act",), 2)
    assert (alive.job, alive.death) == (numbers[names[0]][0], None)
    assert alive.since is not None
    assert alive.lease_expires is not None
    assert alive.renewed == alive.lease_expires - timedelta(seconds=300)
    assert abs(alive.renewed - alive.since) < timedelta(seconds=5)
    assert found[names[1]].death == "this host has no process 4194999"
    assert (found["elsewhere:7"].pid, found["elsewhere:7"].death) == (7, None)
    assert str(found["elsewhere:8/0c"].death).startswith("a lease is past since ")
    assert (found["ada@laptop"].host, found["ada@laptop"].pid) == (None, None)


def test_where_nothing_runs_nobody_holds_a_claim(instance: Instance) -> None:
    instance.act()
    with instance.database.begin(writing=False) as connection:
        assert runner_states(connection, load_settings(str(instance.path))) == []


def test_a_run_whose_jobs_share_transactions_is_told_with_the_type_of_its_jobs(instance: Instance) -> None:
    instance.run("act")  # so that the database knows its sections
    instance.act(("write", "x"))
    instance.query(
        "INSERT INTO jobcron_group_run (id, type, claimed_by, started, lease_expires) "
        "SELECT 'a', type, 'elsewhere:7', date_created, date_created FROM jobcron_job"
    )
    with instance.database.begin(writing=False) as connection:
        (found,) = runner_states(connection, load_settings(str(instance.path)))
    assert (found.name, found.host, found.pid, found.jobs, found.job) == ("elsewhere:7", "elsewhere", 7, 0, None)
    assert (found.groups, found.sections) == ("foo_job.ACT", ("act",))
    assert found.death == "its lease is past"
    out, _ = instance.command("runners")
    assert "foo_job.ACT" in out
