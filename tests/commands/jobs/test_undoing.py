"""The subcommand that undoes an act."""

from __future__ import annotations

import pytest

from jobcron import JobStatus
from jobcron.testing import JobFactory
from operating import Operator

W, R, C, F, S, X, E, B = JobStatus


@pytest.mark.feature("OCQ-05")
def test_an_act_tells_its_number_and_is_undone_by_it(operator: Operator) -> None:
    with operator.instance.session() as session:
        numbers = [JobFactory(session).makeJob(F).id for _ in range(2)]
    assert operator.table("undo") == []
    out = operator("retry", *numbers, "--reason", "try again")
    assert out == "retry: 2 requeued, 0 refused; jobcron undo 1 takes it back\n"
    (act,) = operator.table("undo")
    assert (act["act"], act["name"], act["jobs"], act["reason"]) == ("1", "retry", "2", "try again")
    operator("undo", 1, expect=2)
    assert "jobs: 2; give --yes to undo it, or --dry-run to see what would be done" in operator.err
    assert operator("undo", 1, "--dry-run") == "undo 1: 2 would be put back, 0 refused\n  jobs: 1 2\n"
    operator("cancel", numbers[0])
    out = operator("undo", 1, "--yes", expect=1)
    assert out == f"undo 1: 1 put back, 1 refused\n  job {numbers[0]}: it has moved since: it is CANCELLED\n"
    assert [row.status for row in operator.instance.rows()] == [X, F]
    assert operator("undo", 2, "--yes") == "undo 2: 1 put back, 0 refused\n"
    assert operator("undo", 2, "--yes") == "undo 2: 0 put back, 0 refused; nothing of it is left to undo\n"
    found = operator.json("undo", 1, "--yes")
    assert found == {"act": "undo", "number": 1, "is_dry_run": False, "moved": [numbers[0]], "refused": []}
    assert [row.status for row in operator.instance.rows()] == [F, F]
    assert [one["jobs"]["number"] for one in operator.json("undo")["acts"]] == [0, 0]
    assert operator("undo", 17, "--yes", expect=2) == ""
    assert "expected the number of an act, got: 17; the newest is 2" in operator.err


def test_what_cannot_be_undone_is_listed_and_says_why(operator: Operator) -> None:
    with operator.instance.session() as session:
        number = JobFactory(session).makeJob(C).id
    assert operator("delete", number, "--reason", "old") == "delete: 1 deleted, 0 refused; it is act 1\n"
    operator("pause", "--queue", "cats")
    pause, deletion = operator.table("undo")
    assert (deletion["act"], deletion["name"], deletion["jobs"]) == ("1", f"delete jobs {number}", "-")
    assert (pause["act"], pause["name"], pause["jobs"]) == ("2", "pause queue cats", "-")
    for arguments in ((), ("--dry-run",), ("--yes",)):
        assert operator("undo", 1, *arguments, expect=2) == ""
        assert "cannot be undone: what was deleted does not come back" in operator.err
        operator("undo", 2, *arguments, expect=2)
        assert "cannot be undone: unpause it instead" in operator.err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--yes"], "expected the number of the act to undo; `jobcron undo` alone lists the acts"),
        (["--dry-run"], "expected the number of the act to undo"),
        (["one"], "expected the number of an act, got: 'one'"),
    ],
)
def test_an_act_is_undone_only_by_its_number(operator: Operator, arguments: list[str], message: str) -> None:
    operator("undo", *arguments, expect=2)
    assert message in operator.err
