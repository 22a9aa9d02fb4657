"""Loggers that do not write to standard error."""

from __future__ import annotations

import logging

import pytest

from jobcron.testing import BufferLogger, DevNullLogger


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
