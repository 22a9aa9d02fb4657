"""``jobcron try`` shows what a job does, and leaves no trace of it but an event."""

from __future__ import annotations

from jobcron import JobStatus
from operating import Operator


def test_a_trial_is_printed_row_by_row(operator: Operator) -> None:
    number = operator.instance.act(("write", "password=hunter2"))
    out = operator("try", number, "--yes")
    assert out.startswith(f"job {number}, tried as in section act: completed (")
    assert "and would be COMPLETED\nall that it did in this database is rolled back\nnot undone, if " in out
    assert "\ninsert ledger 1\n" in out
    assert f"\n  job: {number}\n" in out
    assert "hunter2" not in out
    assert operator.instance.ledger() == []
    assert operator.instance.row(number).status is JobStatus.WAITING
    assert "tried" in operator("job", number)


def test_a_job_that_does_not_complete_leaves_with_status_1_and_its_traceback(operator: Operator) -> None:
    number = operator.instance.act(("raise", "value"))
    out = operator("try", number, "--yes", expect=1)
    assert ": failed (" in out
    assert "\nError\nTraceback (most recent call last):\n" in out
    assert operator.instance.oopses() == []


def test_effects_have_to_be_accepted(operator: Operator) -> None:
    number = operator.instance.act()
    operator("try", number, expect=2)
    assert "Expected --yes, or database_only = True in ActJob" in operator.err
    operator("try", "77", "--yes", expect=2)
    assert "expected a job with the number 77, found none" in operator.err


def test_a_trial_as_json_has_a_stable_shape(operator: Operator) -> None:
    number = operator.instance.act(("write", "a"), ("sql", "UPDATE foo SET frozzled = 1"))
    trial = operator.json("try", number, "--yes")
    assert list(trial) == [
        "job", "section", "outcome", "status", "seconds", "error", "rows", "more_rows", "statements", "mails",
        "actions", "leak",
    ]  # fmt: skip
    assert list(trial["rows"][0]) == ["verb", "table", "key", "columns"]
    assert trial["statements"] == [
        {"verb": "update", "table": None, "text": "UPDATE foo SET frozzled = 1", "statements": 1, "rows": 1}
    ]
