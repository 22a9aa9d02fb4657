"""What follows an attempt that did not succeed, whatever the job says and does then."""

from __future__ import annotations

import pytest

import fooapp
from erringapp import LeavingJob
from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from query_cost import noted_statements


@pytest.mark.feature("LP-19", "LP-25")
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        "__str__",
        "a variable",
        "getOopsVars",
        "notifyOops",
        "notifyUserError",
        "getErrorRecipients",
        "afterFailure",
        "retry_error_types",
        "time_limit",
    ],
)
def test_what_a_job_says_of_itself_ends_neither_its_failure_nor_the_run(
    erring: Instance, where: str, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=place, key=key, session=session).id for place in (where, "nowhere")]
    erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert len(erring.oopses()) == (0 if where == "notifyUserError" else 1)


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize("key", [False, True])
def test_an_action_after_the_commit_that_wants_to_end_the_process_is_logged_and_the_job_is_completed(
    erring: Instance, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=w, key=key, session=session).id for w in ("after_commit", "nowhere")]
    log = erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.COMPLETED]
    assert "An action after the commit failed; the commit stands" in log
    assert "Ran 2 LeavingJob jobs." in log
    assert "lost its lease" not in log


def test_an_error_of_the_commit_itself_fails_the_job_and_harms_nobody(erring: Instance) -> None:
    """A constraint that is only checked by COMMIT."""
    erring.configure()
    erring.query("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    erring.query(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, "
        "parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    if erring.database.dialect == "postgresql":
        erring.query("GRANT SELECT ON parent TO foo_runner; GRANT INSERT ON child TO foo_runner")
    job = erring.act(("write", "never"), ("sql", "INSERT INTO child (id, parent) VALUES (1, 99)"))
    after = erring.act(("write", "done"))
    erring.run("act")
    assert erring.row(job).status is JobStatus.FAILED
    assert [note for *_, note in erring.ledger()] == ["done"]
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == 1
    assert "IntegrityError" in str(erring.row(job).log)


WRITE = ("write", "effect")


def test_a_failure_costs_the_jobs_behind_it_one_query_and_not_one_each(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        jobs = [{"target": foo, "metadata": {"do": [WRITE], "tell": []}} for _ in range(40)]
        for place in (1, 5, 6):
            jobs[place] = {"target": foo, "metadata": {"do": [("raise", "value")], "tell": []}}
        ActJob.createMultiple(jobs, session=session)
    with noted_statements() as noted:
        instance.run("act")
    failed = [n for n, row in enumerate(instance.rows()) if row.status is JobStatus.FAILED]
    assert failed == [1, 5, 6]
    assert len(instance.ledger()) == 37
    assert sum("FROM foo_job JOIN jobcron_job" in text for text, _ in noted) < 20


def test_what_a_job_tells_of_itself_cannot_keep_it_from_failing(instance: Instance) -> None:
    with instance.session() as session:
        job = fooapp.TellingJob.create(instance.foo(session)).job.id
    deep = f'{{"deep": {"[" * 400}{"]" * 400}}}'
    instance.query(
        "UPDATE jobcron_job SET json_data = "
        + ("CAST(:deep AS jsonb)" if instance.database.dialect == "postgresql" else ":deep"),
        deep=deep,
    )
    instance.run("telling")
    assert instance.row(job).status is JobStatus.FAILED
    assert len(instance.oopses()) == 1
