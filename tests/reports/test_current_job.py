"""What happens while a job runs carries the job: warnings, handled errors, records of the log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from alarmapp import SECRET, GroupedLoggingJob, LoggingJob, make, reports
from instances import Instance
from jobcron import JobCronScript, JobStatus, globalErrorUtility
from jobcron.reports.current_job import CurrentJob, records_carry_jobs, working_on

BOTH = pytest.mark.parametrize("section", ["logging", "isolated"])


@BOTH
@pytest.mark.feature("LP-11", "LP-26")
@pytest.mark.parametrize("kind", ["warn", "handle", "warn_while_handling", "raise_and_handle"])
def test_a_report_that_is_made_while_a_job_runs_has_the_variables_of_the_job(
    alarmed: Instance, section: str, kind: str
) -> None:
    with alarmed.session() as session:
        job = LoggingJob.create(kind=kind, password=SECRET, session=session)
        number, uuid = job.id, str(job.uuid)
    alarmed.command("run", section)
    (report,) = reports(alarmed)
    variables = report["req_vars"]
    assert (variables["job_id"], variables["job_uuid"], variables["attempt_count"]) == (number, uuid, 1)
    assert variables["job_class"] == "LoggingJob"
    assert variables["job_type"] == "alarmapp.AlarmJobType.LOGGING"
    assert variables["kind"] == kind
    assert variables["arguments"] == {"kind": kind, "password": "***"}


@pytest.mark.feature("LP-26")
def test_a_report_of_a_job_that_shares_its_transaction_has_the_variables_of_that_job(alarmed: Instance) -> None:
    kinds = ("warn", "handle", "warn_while_handling", "raise_and_handle")
    with alarmed.session() as session:
        GroupedLoggingJob.create(kind="inform", session=session)  # the first one of a run is alone
        numbers = [GroupedLoggingJob.create(kind=kind, session=session).id for kind in kinds]
    alarmed.command("run", "grouped")
    assert {alarmed.row(number).status for number in numbers} == {JobStatus.COMPLETED}
    told = {report["req_vars"]["job_id"]: report["req_vars"] for report in reports(alarmed)}
    assert sorted(told) == numbers
    for number, kind in zip(numbers, kinds, strict=True):
        assert told[number]["job_class"] == "GroupedLoggingJob"
        assert told[number]["arguments"] == {"kind": kind}


@BOTH
@pytest.mark.feature("LP-26")
def test_a_report_after_a_job_is_without_it_and_each_job_has_its_own(alarmed: Instance, section: str) -> None:
    numbers = make(alarmed, "warn", "fail", "warn")
    alarmed.configure("oops_level: info", (alarmed.path / "jobcron.conf").read_text().partition("\n\n")[2])
    alarmed.command("run", section)
    found = [(report["value"], report["req_vars"].get("job_id")) for report in reports(alarmed)]
    warned = sorted(number for value, number in found if value.startswith("WARNING: only"))
    assert warned == [numbers[0], numbers[2]]
    assert ("failed", numbers[1]) in found
    assert [number for value, number in found if "Ran 2" in value] == [None]


@BOTH
@pytest.mark.feature("LP-26")
def test_a_job_that_cannot_be_asked_is_named_all_the_same(alarmed: Instance, section: str) -> None:
    jobs = make(alarmed, "tell_badly", "warn_in_a_thread", "warn_in_variables")
    alarmed.command("run", section)
    assert {alarmed.row(job).status for job in jobs} == {JobStatus.COMPLETED}
    told = {report["value"].removeprefix("WARNING: "): report["req_vars"] for report in reports(alarmed)}
    assert [told[text]["job_id"] for text in ("told badly", "from a thread", "before")] == jobs
    assert told["told badly"]["getOopsVars"] == "failed: RuntimeError"
    assert "kind" not in told["from a thread"]
    assert told["before"]["kind"] == "warn_in_variables"


@BOTH
@pytest.mark.feature("LP-26")
def test_what_a_warning_reads_changes_nothing_in_the_transaction_of_the_job(
    alarmed: Instance, section: str
) -> None:
    first, second = make(alarmed, "add_and_warn", "broken")
    alarmed.command("run", section)
    assert alarmed.row(first).json_data["note"] == "kept"
    assert [alarmed.row(job).status for job in (first, second)] == [JobStatus.COMPLETED] * 2
    assert {report["req_vars"]["job_id"] for report in reports(alarmed)} == {first, second}


@pytest.mark.feature("LP-26")
def test_a_record_of_the_log_carries_the_job_beside_the_attributes_of_the_application(
    alarmed: Instance, tmp_path: Path
) -> None:
    (job,) = make(alarmed, "record")
    alarmed.command("run", "logging")
    row = alarmed.row(job)
    written = (tmp_path / "published").read_text().splitlines()[0]
    assert written == f"recorded: LoggingJob (ID {job}) {job} {row.uuid} 1 the application's"


def test_records_carry_the_job_that_is_worked_on_and_none_between_jobs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("shop")
    usual = logging.getLogRecordFactory()
    job = CurrentJob("Job (ID 1)", {"job_id": 1}, lambda: [("more", 2)])
    with records_carry_jobs(), records_carry_jobs():
        logger.warning("before")
        with working_on(job):
            logger.warning("inside")
            assert globalErrorUtility.surrounding_variables() == [("job_id", 1), ("more", 2)]
        logger.warning("after")
    assert logging.getLogRecordFactory() is usual
    carried = [(vars(record)["jobcron_job"], vars(record)["jobcron_job_id"]) for record in caplog.records]
    assert carried == [("", None), ("Job (ID 1)", 1), ("", None)]
    assert globalErrorUtility.surrounding_variables() == []


@BOTH
@pytest.mark.feature("LP-24", "LP-26")
def test_the_log_of_a_script_carries_the_job_whose_process_logs(alarmed: Instance, section: str) -> None:
    (job,) = make(alarmed, "inform")
    seen: list[tuple[str, object, object]] = []

    class Seeing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), vars(record).get("jobcron_job_id"), vars(record).get("jobcron_job")))

    root = logging.getLogger()
    root.addHandler(Seeing())
    root.setLevel(logging.INFO)
    JobCronScript(test_args=[section, "--config", str(alarmed.path)], commandline_config=True, logger=root).main()
    assert ("all is well", job, f"LoggingJob (ID {job})") in seen
