"""What a command has to say goes to standard error: without secrets, and whatever state that is in."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from jobcron.reports.complaints import Discarded, complain, visible


class Full(io.StringIO):
    """A standard error on a full disk."""

    def flush(self) -> None:
        """Refuse what was written."""
        raise OSError("No space left on device")


def test_a_complaint_has_no_secrets_and_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    complain("cannot reach postgresql://me:hunter2hunter2@db/app\x1b[2J")
    assert capsys.readouterr().err == "cannot reach postgresql://me:***@db/app\\x1b[2J\n"


def test_what_is_invisible_is_shown_as_an_escape_and_lines_stay_lines() -> None:
    assert visible("a\u202eb\x07\tc\nd\U000e0041é") == "a\\u202eb\\x07\tc\nd\\U000e0041é"


def test_a_standard_error_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    complain("first")
    assert isinstance(sys.stderr, Discarded)
    complain("second")  # goes nowhere, and raises nothing
    sys.stderr.close()
    monkeypatch.setattr(sys, "stderr", None)  # as a parent process leaves it that has closed it
    complain("third")


def test_a_complaint_needs_no_logging() -> None:
    code = (
        "import sys; from jobcron.reports.complaints import complain\n"
        "complain('no'); print('logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "no\n")
