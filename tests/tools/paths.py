"""Where things are that the tests name."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
APPS = TESTS / "apps"
TOOLS = TESTS / "tools"
PROOFS = TESTS / "proofs"
JOBCRON = Path(sys.executable).with_name("jobcron")
"""The command, of the Python that runs the tests."""
