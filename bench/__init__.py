"""The benchmarks: jobcron beside the same work in bare SQL, measured in one run. See README.md in this folder."""

from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
"""The checkout."""

TARGET_ID = 1
"""The number of the one row that all jobs are about."""
