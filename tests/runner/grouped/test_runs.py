"""The rows of runs whose jobs share transactions: a run that died is found by it, once; one that lives is not."""

from __future__ import annotations

from instances import Instance
from jobcron.runner.grouped import runs
from jobcron.runner.grouped.runs import GroupRun

PAST = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 second')",
    "postgresql": "now() - interval '1 second'",
}


def count(instance: Instance) -> int:
    """Return how many rows there are."""
    return int(instance.query("SELECT count(*) FROM jobcron_group_run")[0][0])


def run_of(instance: Instance, type_id: int = 1, name: str = "host:1", gone: tuple[str, ...] = ()) -> GroupRun:
    """Return a run."""
    return GroupRun(instance.database, type_id, name, gone)


def test_a_run_beside_it_that_lives_is_no_death(instance: Instance) -> None:
    assert not run_of(instance).sign()
    assert not run_of(instance, name="host:2").sign()
    assert count(instance) == 2


def test_one_whose_lease_is_past_is_found_once(instance: Instance) -> None:
    run_of(instance).sign()
    instance.query(f"UPDATE jobcron_group_run SET lease_expires = {PAST[instance.database.dialect]}")
    assert not run_of(instance, type_id=2, name="host:2").sign()  # of another type
    assert run_of(instance, name="host:3").sign()
    assert not run_of(instance, name="host:4").sign()


def test_one_that_is_known_to_be_over_is_found_before_its_lease_ends(instance: Instance) -> None:
    run_of(instance).sign()
    assert run_of(instance, name="host:2", gone=("host:1",)).sign()


def test_an_own_row_is_renewed_and_goes_with_the_run(instance: Instance) -> None:
    run = run_of(instance)
    assert run.is_due
    run.sign()
    assert not run.is_due
    instance.query(f"UPDATE jobcron_group_run SET lease_expires = {PAST[instance.database.dialect]}")
    assert not run.sign()  # its own is none of the dead
    found = instance.query(
        f"SELECT count(*) FROM jobcron_group_run WHERE lease_expires > {PAST[instance.database.dialect]}"
    )
    assert found == [(1,)]
    run.end()
    assert count(instance) == 0


def test_a_row_that_another_run_took_for_dead_is_written_again(instance: Instance) -> None:
    run = run_of(instance)
    run.sign()
    instance.query("DELETE FROM jobcron_group_run")
    run.sign()
    assert count(instance) == 1


def test_a_lease_lasts_longer_than_a_group_may(instance: Instance) -> None:
    assert runs.LEASE_SECONDS >= 10
