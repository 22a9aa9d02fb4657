"""Rows with values that no code writes: each fails alone, by name, and the others run."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DatabaseError

from fooapp import OwnReadyJob
from force import write_by_force
from instances import Instance
from jobcron import JobStatus

WRITE = ("write", "effect")

GREATEST = 2**63 - 1

ON_BOTH = {"lease_token": str(GREATEST)}

ON_SQLITE = {
    "crash_count": "'many'",
    "priority": "'high'",
    "max_retries": "'some'",
    "date_created": "'yesterday'",
    "description": "CAST(x'41ff42' AS TEXT)",
    "uuid": "'mine'",
}

ON_POSTGRESQL = {
    "date_created": "'0044-03-15 12:00:00+00 BC'",
}

SAID = {"CAST(x'41ff42' AS TEXT)": "A\ufffdB"}


CASES = [
    *((dialect, column, value) for dialect in ("sqlite", "postgresql") for column, value in ON_BOTH.items()),
    *(("sqlite", column, value) for column, value in ON_SQLITE.items()),
    *(("postgresql", column, value) for column, value in ON_POSTGRESQL.items()),
]


@pytest.mark.feature("N-10")
@pytest.mark.parametrize(
    ("database_url", "column", "value"), CASES, indirect=["database_url"], ids=lambda value: value[:20]
)
def test_a_waiting_row_with_an_impossible_value_fails_alone_and_says_in_which_column(
    instance: Instance, column: str, value: str
) -> None:
    jobs = [instance.act(WRITE) for _ in range(6)]
    broken = jobs[3]
    write_by_force(instance, broken, **{column: value})
    log = instance.run("act")
    assert "Traceback" not in log
    statuses = {row.id: row.status for row in instance.rows()}  # also: all rows can be read again
    assert statuses == {job: JobStatus.FAILED if job == broken else JobStatus.COMPLETED for job in jobs}
    assert sorted(job for job, *_ in instance.ledger()) == [job for job in jobs if job != broken]
    (report,) = instance.oopses()
    assert report.name == instance.row(broken).oops_id
    said = SAID.get(value, value.strip("'").split(" ")[0])
    (detail,) = [text for _, text in instance.query("SELECT kind, detail FROM jobcron_event")]
    assert f"{column} was" in detail
    assert said in detail
    assert instance.events(broken) == ["failed"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["attempt_count", "lease_token"])
def test_what_a_claim_counts_up_is_a_number_after_it(instance: Instance, column: str) -> None:
    job = instance.act(WRITE)
    write_by_force(instance, job, **{column: "'none'"})
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert isinstance(getattr(instance.row(job), column), int)


@pytest.mark.parametrize("column", ["attempt_count", "crash_count"])
def test_a_counter_at_its_end_stays_there(instance: Instance, column: str) -> None:
    job = instance.act(WRITE)
    instance.query(
        f"UPDATE jobcron_job SET {column} = 2147483647, lease_token = 1, status = 1, max_retries = NULL, "
        f"lease_expires = date_created WHERE id = {job}"
    )
    instance.end_lease(job)
    instance.run("act")
    row = instance.row(job)
    assert (row.status, getattr(row, column)) == (
        JobStatus.FAILED if column == "crash_count" else JobStatus.COMPLETED,
        2147483647,
    )


def test_a_dead_job_with_a_token_that_cannot_grow_fails_alone(instance: Instance) -> None:
    dead, other = instance.act(WRITE), instance.act(WRITE)
    write_by_force(
        instance, dead, lease_expires="date_created", status="1", lease_token=str(GREATEST), attempt_count="1"
    )
    instance.end_lease(dead)
    instance.run("act")
    assert [instance.row(job).status for job in (dead, other)] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert "lease_token was '9223372036854775807'" in str(instance.row(dead).log)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["lease_token", "description"])
def test_such_a_row_of_a_source_that_finds_its_jobs_itself_fails_alone(instance: Instance, column: str) -> None:
    with instance.session() as session:
        jobs = [OwnReadyJob.create(instance.foo(session), session=session).job.id for _ in range(3)]
    instance.command("run", "own_ready")  # its types are known now
    with instance.session() as session:
        jobs = [OwnReadyJob.create(instance.foo(session), session=session).job.id for _ in range(3)]
    write_by_force(instance, jobs[1], **{column: {**ON_BOTH, **ON_SQLITE}[column]})
    instance.run("own_ready")
    statuses = [instance.row(job).status for job in jobs]
    assert statuses == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]


@pytest.mark.parametrize(
    "change",
    [
        f"lease_token = {GREATEST}",
        "attempt_count = 2147483648",
        "max_retries = 2147483648",
        "scheduled_start = 'infinity'",
        "expires_at = 'infinity'",
        "lease_expires = 'infinity'",
        "priority = 'high'",
    ],
)
def test_the_database_refuses_values_that_no_claim_could_work_with(instance: Instance, change: str) -> None:
    job = instance.act()
    with pytest.raises(DatabaseError):
        instance.query(f"UPDATE jobcron_job SET {change} WHERE id = {job}")
    column, value = change.split(" = ")
    with pytest.raises(DatabaseError):
        instance.multiply(job, 1, **{column: value})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("same", ["id", "uuid"])
def test_an_insert_does_not_replace_a_job(instance: Instance, same: str) -> None:
    job = instance.act(WRITE)
    instance.run("act")
    number, uuid = ("id", "hex(randomblob(16))") if same == "id" else ("id + 9", "uuid")
    with pytest.raises(DatabaseError, match="is there already"):
        instance.query(
            f"INSERT OR REPLACE INTO jobcron_job (id, uuid, type) SELECT {number}, {uuid}, type FROM jobcron_job "
            f"WHERE id = {job}"
        )
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.COMPLETED, 1)


def test_two_jobs_cannot_have_one_uuid(instance: Instance) -> None:
    job, other = instance.act(), instance.act()
    with pytest.raises(DatabaseError):
        instance.query(
            f"UPDATE jobcron_job SET uuid = (SELECT uuid FROM jobcron_job WHERE id = {job}) WHERE id = {other}"
        )
