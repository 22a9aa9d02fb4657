"""The kinds of events, and that they can be told from the code."""

from __future__ import annotations

from pathlib import Path

import jobcron
from instances import Instance
from jobcron.jobs.history import NOT_WRITTEN, EventKind, record
from jobcron.jobs.lease import Claim

PACKAGE = Path(jobcron.__file__).parent

WORDS_IN_ROWS = {
    "completed", "failed", "user error", "retry", "suspended", "cancelled", "interrupted", "stopping",
    "superseded", "taken over", "expired", "requeued", "resumed",
}  # fmt: skip
"""What histories hold that were written before the kinds were an enum."""


def test_histories_that_were_written_before_keep_their_meaning() -> None:
    assert {kind.value for kind in EventKind if kind not in NOT_WRITTEN} == WORDS_IN_ROWS


def test_every_kind_of_event_is_written_somewhere() -> None:
    texts = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "history.py"]
    assert [kind.name for kind in EventKind if not any(f"EventKind.{kind.name}" in text for text in texts)] == []


def test_a_row_holds_the_word_of_its_kind(instance: Instance) -> None:
    job = instance.act()
    with instance.database.begin() as connection:
        record(connection, Claim(job, 0), EventKind.TAKEN_OVER, "in words")
    assert instance.events(job) == ["taken over"]
