"""Removing what is old: jobs by type, status and age, events, rows of runs, reports; and nothing else."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import fooapp
import functionapp
import guestapp
from force import write_by_force
from instances import SECTIONS, Instance, wait_until
from jobcron import Job, JobStatus, chain
from jobcron.database import walk
from jobcron.scripts._pruning.pruner import Pruner
from jobcron.scripts.prune import PruneJobs
from jobcron.settings.instance import load_settings
from jobcron.testing import run_script
from old_jobs import age, make
from paths import JOBCRON, ROOT
from query_cost import noted_statements
from script_runs import do_foo

ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)


def left(instance: Instance) -> list[int]:
    """Return the numbers of the jobs that are there."""
    return [number for (number,) in instance.query("SELECT id FROM jobcron_job ORDER BY id")]


@pytest.mark.feature("LP-31")
def test_finished_jobs_go_by_status_and_age_and_no_others(instance: Instance) -> None:
    instance.configure("keep_completed: 10d\nkeep_failed: 20d\nkeep_cancelled: 5d")
    statuses = [*JobStatus]
    old, middle, young = (make(instance, *statuses) for _ in range(3))
    age(instance, 25, f"id <= {old[-1]}")
    age(instance, 15, f"id > {old[-1]} AND id <= {middle[-1]}")
    _, err = instance.command("prune")
    gone_middle = {JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.EXPIRED}
    assert left(instance) == [
        *(number for number, status in zip(old, statuses, strict=True) if status not in ENDED),
        *(number for number, status in zip(middle, statuses, strict=True) if status not in gone_middle),
        *young,
    ]
    assert "INFO    Removed 2 COMPLETED jobs of foo_job.DO_FOO.\n" in err
    assert "INFO    Removed 1 FAILED job of foo_job.DO_FOO.\n" in err


@pytest.mark.feature("LP-31")
def test_a_section_keeps_the_jobs_of_its_types_as_it_says(instance: Instance) -> None:
    instance.command("run", "do_foo")  # the database learns whose types they are
    sections = SECTIONS.replace("[act]", "keep_completed: 40d\n[act]")
    instance.configure("keep_completed: none\nkeep_failed: 30d", sections)
    mine, others = make(instance, *ENDED[:2]), make(instance, *ENDED[:2], type_name="foo_job.ACT")
    age(instance, 50)
    instance.command("prune")
    assert left(instance) == [others[0]]
    assert mine


def test_none_in_a_section_keeps_the_jobs_of_its_types_for_ever(instance: Instance) -> None:
    instance.command("run", "do_foo")  # the database learns whose types they are
    sections = SECTIONS.replace("[act]", "keep_completed: none\nkeep_failed: inherit\n[act]")
    instance.configure("keep_completed: 10d\nkeep_failed: 10d", sections)
    completed, _failed = make(instance, *ENDED[:2])
    make(instance, *ENDED[:2], type_name="foo_job.ACT")
    age(instance, 50)
    instance.command("prune")
    assert left(instance) == [completed]


def acts(instance: Instance, *names: str) -> list[int]:
    """Commit a job about the foo of each name, which is made once; return the numbers."""
    with instance.session() as session:
        known = {name: fooapp.Foo(name=name) for name in names}
        session.add_all(known.values())
        jobs = [fooapp.ActJob.create(known[name], metadata={"do": [], "tell": []}) for name in names]
        return [job.job.id for job in jobs]


@pytest.mark.feature("LP-31")
def test_the_newest_job_about_each_target_stays_where_the_section_says_so(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "WINDOW", 2)
    instance.configure(sections=SECTIONS.replace("[telling]", "keep_newest_of_target: true\n[telling]"))
    first, other, second, third, lone = acts(instance, "a", "b", "a", "a", "c")
    elsewhere = do_foo(instance)
    for section in ("act", "do_foo"):
        instance.command("run", section)
    waiting = acts(instance, "d", "d")
    (of_nothing,) = make(instance, JobStatus.COMPLETED, type_name="foo_job.ACT")
    age(instance, 400)
    _, err = instance.command("prune", "--dry-run")
    assert "INFO    Would remove 3 COMPLETED jobs of foo_job.ACT.\n" in err
    instance.command("prune")
    assert left(instance) == [other, third, lone, *waiting]
    assert {first, second, elsewhere, of_nothing}.isdisjoint(left(instance))


@pytest.mark.feature("LP-31")
def test_the_newest_job_about_a_target_on_the_shared_row_stays_by_type(guest: Instance) -> None:
    section = "[letter]\n"
    path = guest.path / "jobcron.conf"
    path.write_text(path.read_text().replace(section, f"{section}keep_newest_of_target: true\n"))
    with guest.session() as session:
        one, two = guestapp.Customer(), guestapp.Customer()
        session.add_all([one, two])
        jobs = [guestapp.LetterJob.create(target, template="t", session=session).id for target in (one, two, one)]
    guest.command("run", "letter")
    with guest.session() as session:
        target = session.get_one(guestapp.Customer, 1)
        waiting = guestapp.LetterJob.create(target, template="t", session=session).id
    age(guest, 400)
    guest.command("prune")
    assert left(guest) == [*jobs[1:], waiting]
    guest.command("run", "letter")
    age(guest, 400)
    guest.command("prune")
    assert left(guest) == [jobs[1], waiting]


@pytest.mark.feature("OCQ-12")
def test_jobs_of_certain_functions_are_kept_for_a_time_of_their_own(instance: Instance) -> None:
    section = "[functions]\nsource_interface: jobcron.functions.FunctionJob\n"
    instance.configure("application: functionapp\nkeep_completed: none", sections=section)
    conf = instance.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace("application: fooapp:register\n", ""))
    with instance.session() as session:
        typed: Any = functionapp
        for function, *arguments in ((typed.export, "a"), (typed.troubled, "failed"), (typed.undocumented,)):
            function.delay(*arguments, session=session)
        typed.named.delay(session=session)
    instance.command("run", "functions")
    exported, failed, other, for_ever = left(instance)
    if instance.database.dialect == "sqlite":
        instance.query("UPDATE jobcron_job SET json_data = '{' WHERE id = :job", job=other)
    age(instance, 50)
    keep = "keep_failed: 30d\nkeep_functions: functionapp.export 40d functionapp.troubled 60d export-one none\n"
    conf.write_text(conf.read_text() + keep)
    _, err = instance.command("prune")
    assert left(instance) == [failed, other, for_ever]
    assert "INFO    Removed 1 COMPLETED job of FunctionJobType.CALL.\n" in err
    age(instance, 11)
    instance.command("prune")
    assert left(instance) == [other, for_ever]
    assert exported


@pytest.mark.feature("LP-31")
@pytest.mark.parametrize("column", ["date_created", "date_finished"])
def test_a_time_that_cannot_be_read_keeps_no_other_job(instance: Instance, column: str) -> None:
    wrong, _ = make(instance, JobStatus.COMPLETED, JobStatus.COMPLETED)
    age(instance, 40)
    value = {"sqlite": "'garbage'", "postgresql": "timestamptz '20000-01-01'"}[instance.database.dialect]
    write_by_force(instance, wrong, **{column: value})
    instance.command("prune")
    assert left(instance) == ([wrong] if column == "date_finished" else [])


@pytest.mark.feature("LP-31")
def test_a_trial_removes_nothing_and_says_how_much_it_would_be(instance: Instance) -> None:
    jobs = make(instance, *[JobStatus.COMPLETED] * 3)
    age(instance, 31)
    _, err = instance.command("prune", "--dry-run")
    assert "INFO    Would remove 3 COMPLETED jobs of foo_job.DO_FOO.\n" in err
    assert left(instance) == jobs


def test_a_trial_that_finds_nothing_old_says_so(instance: Instance) -> None:
    make(instance, JobStatus.COMPLETED)
    _, err = instance.command("prune", "--dry-run")
    assert "INFO    Would remove nothing: nothing is older than the configuration says.\n" in err
    assert "Would remove nothing" not in instance.command("prune")[1]


@pytest.mark.feature("LP-31")
def test_family_rows_and_events_go_with_their_jobs_and_numbers_are_never_given_again(instance: Instance) -> None:
    bad, good = instance.act(("raise", "value")), instance.act(("write", "x"))
    instance.command("run", "act")
    age(instance, 400)
    instance.command("prune")
    assert left(instance) == []
    assert instance.query("SELECT count(*) FROM foo_job") == [(0,)]
    assert instance.query("SELECT count(*) FROM jobcron_event") == [(0,)]
    assert instance.query("SELECT count(*) FROM foo") == [(2,)]  # what the jobs were about is the application's
    assert instance.act(("write", "y")) > max(bad, good)


@pytest.mark.feature("LP-31")
def test_a_job_that_rows_of_the_application_need_stays_and_the_others_go(instance: Instance) -> None:
    instance.query("CREATE TABLE invoice (id INTEGER PRIMARY KEY, job BIGINT REFERENCES jobcron_job (id))")
    jobs = make(instance, *[JobStatus.COMPLETED] * 5)
    instance.query("INSERT INTO invoice (id, job) VALUES (1, :job)", job=jobs[2])
    age(instance, 31)
    _, err = instance.command("prune")
    assert left(instance) == [jobs[2]]
    assert "INFO    1 old job stays" in err


def test_the_last_run_of_each_section_is_looked_for_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "WINDOW", 2)
    old = "'2001-01-01 00:00:00.000000'" + "::timestamptz" * (instance.database.dialect == "postgresql")
    columns = "name, hostname, date_started, date_completed, completed, incomplete, oopses"
    for name in ("act", "do_foo") * 4:
        instance.query(f"INSERT INTO jobcron_run ({columns}) VALUES ('{name}', 'here', {old}, {old}, 0, 0, 0)")
    with noted_statements() as noted:
        Pruner(instance.database, load_settings(str(instance.path)), logging.getLogger()).prune()
    assert instance.query("SELECT name FROM jobcron_run ORDER BY id") == [("act",), ("do_foo",)]
    assert sum(bool(re.search(r"max\((public\.)?jobcron_run\.id\)", text)) for text, _ in noted) == 1


@pytest.mark.feature("LP-31")
def test_old_events_and_rows_of_runs_go_and_the_last_run_of_each_section_stays(instance: Instance) -> None:
    job = instance.act(("raise", "retryable"))
    instance.command("run", "act")
    instance.act(("write", "x"))
    instance.command("run", "act")
    for table, columns in (("jobcron_event", ["at"]), ("jobcron_run", ["date_started", "date_completed"])):
        for column in columns:
            moved = {
                "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-200 days')",
                "postgresql": f"{column} - interval '200 days'",
            }[instance.database.dialect]
            instance.query(f"UPDATE {table} SET {column} = {moved}")
    _, err = instance.command("prune")
    assert instance.events(job) == []
    assert instance.row(job).status is JobStatus.WAITING
    assert instance.query("SELECT completed FROM jobcron_run WHERE name = 'act'") == [(1,)]
    assert "Removed 1 event." in err
    assert "Removed 1 row of runs." in err


@pytest.mark.feature("LP-31")
def test_many_old_jobs_go_in_bounded_batches_while_runners_work(instance: Instance) -> None:
    """Runs and prunings beside each other; a kill in the middle; nothing that has not ended is lost."""
    (job,) = make(instance, JobStatus.COMPLETED)
    instance.multiply(job, 4999, status="2", date_finished="CURRENT_TIMESTAMP")
    age(instance, 31)
    jobs = [instance.act(("write", "x")) for _ in range(50)]
    pruning = subprocess.Popen(
        [JOBCRON, "prune"], env={**os.environ, "JOBCRON_CONFIG": str(instance.path)}, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: instance.query("SELECT count(*) FROM jobcron_job")[0][0] < 5050, "the first batch")
    pruning.kill()
    pruning.wait()
    running = instance.start("act")
    instance.command("prune")
    assert running.wait(60) == 0
    assert left(instance) == jobs
    assert {instance.row(job).status for job in jobs} == {JobStatus.COMPLETED}
    assert len(instance.ledger()) == 50


@pytest.mark.feature("LP-31")
def test_the_script_of_the_checkout_prunes_and_takes_a_lock(instance: Instance) -> None:
    make(instance, JobStatus.COMPLETED)
    age(instance, 31)
    script = ROOT / "cronscripts" / "prune_jobs.py"
    run_script(script, ["--config", str(instance.path)])
    assert left(instance) == []
    assert (instance.state / "locks" / "prune-jobs.lock").exists()
    _, _, err = run_script(script, ["--config", str(instance.path), "nonsense"], expect_returncode=2)
    assert "expected no arguments, got: nonsense" in err


@pytest.mark.feature("LP-31")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sigterm_ends_a_pruning_between_two_batches(instance: Instance) -> None:
    (job,) = make(instance, JobStatus.COMPLETED)
    instance.multiply(job, 7999, status="2", date_finished="CURRENT_TIMESTAMP")
    age(instance, 31)
    pruning = subprocess.Popen(
        [JOBCRON, "prune"],
        env={**os.environ, "JOBCRON_CONFIG": str(instance.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: instance.query("SELECT count(*) FROM jobcron_job")[0][0] < 8000, "the first batch")
    pruning.send_signal(signal.SIGTERM)
    _, err = pruning.communicate(timeout=30)
    remaining = len(left(instance))
    if remaining:  # else it was quicker than the signal, which may have met it on its way out
        assert pruning.returncode == 0, err
        assert "Stopped by a signal" in err
        assert remaining % 1000 == 0


def test_old_jobs_can_be_deleted_from_any_thread(instance: Instance) -> None:
    with ThreadPoolExecutor(1) as pool:
        script = PruneJobs(test_args=["--config", str(instance.path)])
        assert pool.submit(script.main).result() == 0


@pytest.mark.feature("LP-31", "OCQ-11")
def test_a_job_stays_while_another_one_that_has_not_ended_has_it_as_predecessor(instance: Instance) -> None:
    instance.configure("keep_completed: 10d")
    with instance.session() as session:
        foo = instance.foo(session)
        first, second = chain(fooapp.ActJob.planned(foo), fooapp.ActJob.planned(foo)).create(session=session).jobs
        session.get_one(Job, first).complete()
    age(instance, 25)
    _, err = instance.command("prune")
    assert left(instance) == [first, second]
    told = (
        "1 old job stays: somebody has locked what it would delete, or rows of the application or other jobs need"
    )
    assert f"{told} them." in err
    with instance.session() as session:
        session.get_one(Job, second).complete()
    instance.command("prune")
    assert left(instance) == [second]
