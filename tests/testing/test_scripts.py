"""Running scripts as cron does, from a test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobcron.testing import run_script


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
