"""A number of things has the noun that fits."""

from __future__ import annotations

from jobcron.reports.plurals import counted


def test_one_is_one_and_any_other_number_is_several() -> None:
    assert [counted(number, "job") for number in (0, 1, 2, 11)] == ["0 jobs", "1 job", "2 jobs", "11 jobs"]
    seconds = [counted(number, "second") for number in (0.2, 1.0, 1.5, 90.0)]
    assert seconds == ["0.2 seconds", "1 second", "1.5 seconds", "90 seconds"]
