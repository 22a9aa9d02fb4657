"""Cron scripts of an application's own are citizens: rows, metrics, silence; and a frame for pruning."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from fooapp import Ledger
from instances import Instance, run_jobcron
from jobcron.testing import use_session
from paths import APPS
from pruningscripts import PruneLedger


def run(instance: Instance, script: str, *arguments: str, expect: int = 0) -> str:
    """Run a script of `pruningscripts` in a process of its own, and return its log."""
    given = (script, "--config", str(instance.path), *arguments)
    return run_jobcron(*given, expect=expect, program=APPS / "pruningscripts.py")[1]


def runs(instance: Instance) -> list[tuple[str, int]]:
    """Return name and count of each recorded run."""
    return instance.query("SELECT name, completed FROM jobcron_run ORDER BY id")


def fill(instance: Instance, count: int) -> None:
    """Commit lines of the ledger."""
    with instance.session() as session:
        session.add_all([Ledger(job=1, attempt=number) for number in range(count)])


def left(instance: Instance) -> int:
    """Return how many lines are left."""
    return int(instance.query("SELECT count(*) FROM ledger")[0][0])


@pytest.mark.feature("LP-27")
def test_a_run_that_did_something_has_a_row_and_others_have_one_in_an_interval(instance: Instance) -> None:
    for things in ("0", "0", "2", "3"):
        assert run(instance, "NightlyReport", things) == ""
    assert runs(instance) == [("nightly", 0), ("nightly", 2), ("nightly", 3)]


@pytest.mark.feature("LP-27")
def test_a_run_that_failed_is_no_sign_of_life(instance: Instance) -> None:
    run(instance, "NightlyReport", "status7", expect=7)
    assert "ValueError: no report" in run(instance, "NightlyReport", "raise", expect=1)
    assert runs(instance) == []


@pytest.mark.feature("LP-27")
def test_the_silence_of_a_script_is_noticed(instance: Instance) -> None:
    instance.configure("watch_scripts: nightly 1h prune-jobs none")
    assert "UNKNOWN  nightly: has never run" in instance.command("check-runs", "nightly", expect=3)[0]
    run(instance, "NightlyReport", "1")
    instance.command("prune")
    out, _ = instance.command("check-runs", "nightly", "prune-jobs")
    assert out.splitlines()[0] == "JOBCRON OK - 2 sections"
    # Of all together: sections that never ran are unknown, which is worse than a warning.
    for hours, status, word, of_all in ((1.5, 1, "WARNING", 3), (3, 2, "CRITICAL", 2)):
        past = (
            f"now() - interval '{hours} hours'"
            if instance.database.dialect == "postgresql"
            else f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{hours} hours')"
        )
        instance.query(f"UPDATE jobcron_run SET date_completed = {past}")
        out, _ = instance.command("check-runs", "nightly", expect=status)
        assert f"{word:<8} nightly: last run" in out
        assert "OK       prune-jobs: last run" in instance.command("check-runs", "prune-jobs")[0]
        assert f"{word:<8} nightly: last run" in instance.command("check-runs", expect=of_all)[0]


@pytest.mark.feature("LP-33")
def test_the_runs_of_a_script_are_in_its_metrics(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "prom").mkdir()
    instance.configure(f"metrics_dir: {tmp_path}/prom")
    run(instance, "NightlyReport", "1")
    file = tmp_path / "prom" / "jobcron_nightly.prom"
    good = file.read_text()
    run(instance, "NightlyReport", "status1", expect=1)
    succeeded = [line for line in good.splitlines() if "success" in line and not line.startswith("#")]
    assert succeeded
    assert [line for line in file.read_text().splitlines() if line in succeeded] == succeeded


@pytest.mark.feature("LP-27", "LP-31")
def test_pruning_has_a_row_with_what_it_removed_unless_it_only_looked(instance: Instance) -> None:
    instance.configure("keep_events: 0s")
    job = instance.act(("write", "x"))
    instance.run("act")
    events = instance.query("SELECT count(*) FROM jobcron_event WHERE job = :job", job=job)[0][0]
    instance.command("prune", "--dry-run")
    assert [name for name, _ in runs(instance)] == ["act"]
    instance.command("prune")
    assert runs(instance)[1:] == [("prune-jobs", events)]


@pytest.mark.feature("LP-31")
def test_own_pruning_removes_in_batches_until_nothing_is_left(instance: Instance) -> None:
    fill(instance, 8)
    assert "INFO    Removed 8 rows.\n" in run(instance, "PruneLedger")
    assert left(instance) == 0
    assert runs(instance) == [("nightly", 8)]
    assert run(instance, "PruneLedger") == ""


@pytest.mark.feature("LP-31")
@pytest.mark.parametrize(("script", "reason"), [("Hurried", "at the end of its time"), ("Stopped", "by a signal")])
def test_own_pruning_ends_between_two_batches_and_the_next_run_goes_on(
    instance: Instance, script: str, reason: str
) -> None:
    fill(instance, 8)
    err = run(instance, script)
    assert f"INFO    Stopped {reason}; the next run goes on.\n" in err
    assert "INFO    Removed 3 rows.\n" in err
    assert left(instance) == 5
    run(instance, "PruneLedger")
    assert left(instance) == 0


@pytest.mark.feature("LP-31")
def test_a_batch_that_fails_is_undone_and_the_earlier_ones_stay(instance: Instance) -> None:
    fill(instance, 8)
    assert "ValueError: the second batch" in run(instance, "Failing", expect=1)
    assert left(instance) == 5
    assert "expected prune of Silent to return how many rows it removed, got None" in run(
        instance, "Silent", expect=1
    )
    assert left(instance) == 5
    assert runs(instance) == []


@pytest.mark.feature("LP-31", "LP-30")
def test_in_a_test_pruning_works_in_the_tests_own_transaction(
    instance: Instance, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    session.add_all([Ledger(job=1, attempt=number) for number in range(4)])
    script = PruneLedger(test_args=[])
    with use_session(session):
        assert script.main() == 0
    assert script.done == 4
    assert session.query(Ledger).count() == 0
