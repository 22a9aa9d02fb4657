"""What tests of jobs are given: loggers, a factory, a way to run scripts."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from jobcron import JobStatus
from jobcron.testing import BufferLogger, DevNullLogger, JobFactory, run_script


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a script that writes its arguments to both outputs and leaves with status 3."""
    path = tmp_path / "three.py"
    path.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.environ.get('GIVEN'), os.getcwd())\n"
        "print('no', file=sys.stderr)\nsys.exit(3)\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.feature("LP-30")
def test_run_script_returns_status_and_both_outputs(script: Path, tmp_path: Path) -> None:
    found = run_script(script, ["a", "b"], expect_returncode=3, extra_env={"GIVEN": "x"}, cwd=tmp_path)
    assert found == (3, f"['a', 'b'] x {tmp_path}\n", "no\n")


@pytest.mark.feature("LP-30")
def test_run_script_shows_all_that_was_printed_where_the_status_is_another(script: Path) -> None:
    with pytest.raises(AssertionError, match=r"left with status 3, expected 0\n(.|\n)*\['a'\](.|\n)*no\n"):
        run_script(script, ["a"])


@pytest.mark.feature("LP-30")
def test_a_buffer_logger_keeps_lines_as_scripts_write_them() -> None:
    logger = BufferLogger()
    logger.info("Ran %d %s jobs.", 1, "DoFooJob")
    logger.warning("Careful.")
    logger.debug("Details.")
    assert logger.getLogBuffer() == "INFO    Ran 1 DoFooJob jobs.\nWARNING Careful.\nDEBUG   Details.\n"
    assert [record.levelno for record in logger.records] == [logging.INFO, logging.WARNING, logging.DEBUG]


@pytest.mark.feature("LP-30")
def test_a_dev_null_logger_writes_nowhere(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    DevNullLogger().critical("Nobody hears this.")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.feature("LP-30")
@pytest.mark.parametrize("status", list(JobStatus), ids=lambda status: status.name)
def test_the_factory_makes_jobs_in_every_status_that_the_database_takes(
    session: Session, status: JobStatus
) -> None:
    job = JobFactory(session).makeJob(status, requester="me")
    session.refresh(job)
    assert (job.status, job.requester) == (status, "me")
