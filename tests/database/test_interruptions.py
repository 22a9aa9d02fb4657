"""The kinds of interruptions by the database: what rows hold of them is apart from what people read."""

from __future__ import annotations

import pytest

from fooapp import Deadlock
from instances import Instance
from jobcron import JobStatus
from jobcron.database.trouble import Interruption, causes_of
from jobcron.queue import error_rules

pytestmark = pytest.mark.both_drivers

WORDS_IN_ROWS = {
    "no connection to the database could be made",
    "the connection to the database was lost",
    "the database was busy",
    "the database's disk was full",
    "the database's disk failed",
    "a deadlock",
    "another session changed a row that the job had read",
    "a serialization failure",
    "a lock was not to be had in time",
    "a statement took longer than the database allows",
    "the database takes no writes",
    "the database's memory was full",
    "the database's file was replaced",
    "the database is damaged",
}
"""What histories hold."""


def details(instance: Instance) -> list[str]:
    """Return the details of all events."""
    return [detail for (detail,) in instance.query("SELECT detail FROM jobcron_event ORDER BY id")]


def run_again(instance: Instance) -> None:
    """Run the section, whatever back-off its jobs have."""
    instance.query("UPDATE jobcron_job SET scheduled_start = date_created")
    instance.run("act")


def test_rows_that_were_written_before_keep_their_meaning() -> None:
    assert {kind.value for kind in Interruption} == WORDS_IN_ROWS


@pytest.mark.feature("LP-22")
def test_people_read_the_sentence_and_the_row_keeps_the_words_that_are_counted(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deadlock, "jobcron_interruption", Interruption.READ_ONLY)
    instance.act(("raise", "deadlock"))
    assert "was interrupted: the database is read-only." in instance.run("act")
    assert details(instance) == ["the database takes no writes"]


@pytest.mark.feature("LP-22")
def test_interruptions_count_together_whatever_people_were_told_of_them(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_rules, "MAX_DATABASE_INTERRUPTIONS", 2)
    job = instance.act(("raise", "deadlock"))
    for sentence in ("two transactions waited for each other", "reworded", "reworded once more"):
        monkeypatch.setattr(Interruption.DEADLOCK, "sentence", sentence)
        run_again(instance)
    assert details(instance)[:2] == ["a deadlock", "a deadlock"]
    assert instance.events(job) == ["interrupted", "interrupted", "failed"]


@pytest.mark.feature("LP-22")
@pytest.mark.parametrize("words", ["a lock was not to be had in time", "the connection to the database was lost"])
def test_an_interruption_that_an_older_release_wrote_is_counted(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(error_rules, "MAX_DATABASE_INTERRUPTIONS", 1)
    job = instance.act(("raise", "deadlock"))
    instance.query(
        "INSERT INTO jobcron_event (job, actor, kind, detail, lease_token) "
        "VALUES (:job, 'runner', 'interrupted', :words, 0)",
        job=job,
        words=words,
    )
    run_again(instance)
    assert instance.row(job).status is JobStatus.FAILED


def test_the_causes_of_an_error_are_walked_once_also_in_a_circle() -> None:
    first, second, third = ValueError("first"), KeyError("second"), OSError("third")
    first.__cause__, first.__context__ = second, third
    second.__context__ = third
    third.__context__ = first
    assert list(causes_of(first)) == [first, second, third]
