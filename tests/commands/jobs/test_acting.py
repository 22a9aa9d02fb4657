"""The subcommands that move jobs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fooapp import ActJob
from jobcron import JobStatus, chain
from jobcron.operations.acts import Outcome
from jobcron.testing import JobFactory
from operating import Operator
from paths import JOBCRON

W, R, C, F, S, X, E, B = JobStatus

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def make(operator: Operator, *statuses: JobStatus) -> list[int]:
    """Commit a job with each of these statuses, and return their numbers."""
    with operator.instance.session() as session:
        return [JobFactory(session).makeJob(status).id for status in statuses]


@pytest.mark.feature("OCQ-05")
@pytest.mark.parametrize(
    ("arguments", "before", "after", "done"),
    [
        (["retry"], F, W, "requeued"),
        (["requeue"], X, W, "requeued"),
        (["cancel"], W, X, "cancelled"),
        (["suspend"], W, S, "suspended"),
        (["resume"], S, W, "resumed"),
        (["set-done"], F, C, "set done"),
        (["postpone", "--by", "2h"], W, W, "postponed"),
        (["run-now"], W, W, "made due"),
        (["priority", "--to", "3"], W, W, "changed"),
        (["move", "--to", "mail"], W, W, "moved"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else getattr(value, "name", value),
)
def test_one_job_is_moved_and_told_in_the_acts_own_word(
    operator: Operator, arguments: list[str], before: JobStatus, after: JobStatus, done: str
) -> None:
    (number,) = make(operator, before)
    name = arguments[0].replace("requeue", "retry")
    out = operator(*arguments, number, "--reason", "as told")
    assert out == f"{name}: 1 {done}, 0 refused; jobcron undo 1 takes it back\n"
    assert operator.instance.row(number).status is after
    ((actor, detail),) = operator.instance.query("SELECT actor, detail FROM jobcron_event")
    assert "@" in actor
    assert detail.endswith("; as told")


@pytest.mark.feature("OCQ-05")
def test_a_selection_is_counted_first_and_moved_with_yes(operator: Operator) -> None:
    make(operator, F, F, C, W)
    operator("retry", "--type", "testing.JOB", expect=2)
    assert "jobs that fit: 2; give --yes to retry them, or --dry-run to see what would be done" in operator.err
    assert operator("retry", "--type", "testing.JOB", "--dry-run") == (
        "retry: 2 would be requeued, 0 refused\n  jobs: 1 2\n"
    )
    assert [row.status for row in operator.instance.rows()] == [F, F, C, W]
    assert operator("retry", "--type", "testing.JOB", "--yes", "--limit", 1).startswith(
        "retry: 1 requeued, 0 refused; "
    )
    assert [row.status for row in operator.instance.rows()] == [F, W, C, W]


def test_refused_jobs_are_named_and_status_1(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, *others = make(operator, F, C, C, C)
    monkeypatch.setattr("jobcron.commands.jobs._acts.SHOWN", 2)
    out = operator("set-done", failed, *others, expect=1)
    assert out == (
        "set-done: 1 set done, 3 refused; jobcron undo 1 takes it back\n"
        f"  job {others[0]}: it is COMPLETED\n  job {others[1]}: it is COMPLETED\n  1 more: it is COMPLETED\n"
    )
    found = operator.json("set-done", others[0], expect=1)
    assert found == {
        "act": "set-done",
        "number": None,
        "is_dry_run": False,
        "moved": [],
        "refused": [{"job": others[0], "reason": "it is COMPLETED"}],
    }


@pytest.mark.feature("OCQ-05")
def test_due_time_priority_and_queue_are_changed(operator: Operator) -> None:
    (number,) = make(operator, W)
    operator("postpone", number, "--by", "2h")
    assert operator.instance.row(number).scheduled_start > datetime.now(UTC) + timedelta(hours=1)
    operator("postpone", number, "--until", "2040-01-01T01:00+01:00")
    assert operator.instance.row(number).scheduled_start == datetime(2040, 1, 1, tzinfo=UTC)
    operator("run-now", number)
    assert operator.instance.row(number).scheduled_start < datetime.now(UTC) + timedelta(minutes=1)
    operator("priority", number, "--to", "-3")
    operator("move", number, "--to", "cats")
    row = operator.instance.row(number)
    assert (row.priority, row.queue_name) == (-3, "cats")
    operator("cancel", number)
    assert operator("delete", number) == "delete: 1 deleted, 0 refused; it is act 7\n"
    assert operator.instance.rows() == []


@pytest.mark.feature("OCQ-05")
def test_jobs_are_found_by_their_channel_and_moved_to_another_one(operator: Operator) -> None:
    instance = operator.instance
    export, north, other, none = (
        instance.act(channel=name) for name in ("root.export", "root.export.north", "root.exports", None)
    )
    assert {row["id"] for row in operator.table("jobs", "--channel", "root.export")} == {f"{export}", f"{north}"}
    assert operator.json("jobs", "--channel", "root.exports")["jobs"][0]["channel"] == "root.exports"
    assert "root.exports" in operator("job", other)
    out = operator("move", "--channel", "root.export", "--to-channel", "root.mail", "--yes", "--reason", "full")
    assert out == "move: 2 moved, 0 refused; jobcron undo 1 takes it back\n"
    operator("move", none, "--to-channel", "root.mail.eu")
    operator("move", other, "--to-channel", "none")
    assert [row.channel for row in instance.rows()] == ["root.mail", "root.mail", None, "root.mail.eu"]
    assert {row["id"] for row in operator.table("jobs", "--channel", "root")} == {
        f"{export}",
        f"{north}",
        f"{none}",
    }
    assert "channel was root.export.north; full" in operator("job", north)
    for act in (1, 2, 3):
        operator("undo", act, "--yes")
    assert [row.channel for row in instance.rows()] == ["root.export", "root.export.north", "root.exports", None]


def test_a_move_goes_to_a_queue_or_to_a_channel(operator: Operator) -> None:
    (number,) = make(operator, W)
    operator("move", number, expect=2)
    assert "one of the arguments --to --to-channel is required" in operator.err
    operator("move", number, "--to", "cats", "--to-channel", "root.mail", expect=2)
    assert "not allowed with" in operator.err
    operator("move", number, "--to-channel", "mail", expect=2)
    assert "expected the name of a channel such as root.export (root, or root. and names" in operator.err


def test_due_times_are_spread(operator: Operator) -> None:
    make(operator, *([F] * 20))
    operator("retry", "--status", "failed", "--spread", "10m", "--yes")
    starts = {row.scheduled_start for row in operator.instance.rows()}
    assert len(starts) == 20
    assert max(starts) - min(starts) > timedelta(minutes=5)


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retry"], "expected the numbers of jobs, or filters: jobcron retry --help has them"),
        (["retry", "--yes"], "expected the numbers of jobs, or filters"),
        (["postpone", "1"], "one of the arguments --by --until is required"),
        (["postpone", "1", "--until", "2040-01-01"], "expected a time with its zone such as"),
        (["priority", "1", "--to", "9999999999"], "expected priority of jobs to be"),
        (["priority", "1"], "the following arguments are required: --to"),
        (["move", "1", "--to", ""], "expected queue_name of jobs to be text"),
        (["cancel", "one"], "expected the number of a job, got: 'one'"),
        (["cancel", "1", "--spread=1m"], "unrecognized arguments: --spread"),
        (["retry", "1", "--type", "testing.JOB", "--yes"], "expected the numbers of jobs, or filters, got both"),
        (["postpone", "1", "--until=2040-01-01T00:00Z", "--spread=1m"], "expected --spread together with --by"),
        (["priority", "1", "--to", "high"], "expected a whole number, the lowest goes first, got: 'high'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_moves_nothing(operator: Operator, arguments: list[str], message: str) -> None:
    make(operator, F)
    operator(*arguments, expect=2)
    assert message in operator.err
    assert [row.status for row in operator.instance.rows()] == [F]


@on_sqlite
def test_what_was_done_before_it_was_interrupted_is_told(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> Iterator[Outcome]:
        yield Outcome((7, 8), (), 17)
        raise KeyboardInterrupt

    monkeypatch.setattr("jobcron.commands.jobs._acts.act_on_selection", interrupted)
    with pytest.raises(KeyboardInterrupt):
        operator("retry", 7, 8, 9)
    assert capsys.readouterr().out == "retry: 2 requeued, 0 refused; jobcron undo 17 takes it back\n"


@pytest.mark.feature("OCQ-11")
def test_a_graph_is_shown_cancelled_and_retried_as_a_whole(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = operator.instance
    with instance.session() as session:
        foo = instance.foo(session)
        plans = [ActJob.planned(foo, description=name) for name in ("first", "second", "third")]
        jobs = list(chain(*plans, on="any end").create(session=session).jobs)
    alone = make(operator, W)
    shown = operator("job", jobs[1])
    before, after = shown.partition("\nWaits for\n")[2].split("\nIs waited for by\n")
    assert f"{jobs[0]}\tfoo_job.ACT\tWAITING\tany end\tfirst\n" in before
    assert f"{jobs[2]}\tfoo_job.ACT\tBLOCKED\tany end\tthird\n" in after
    assert "nearest" not in operator("jobs", "--graph", jobs[2])
    monkeypatch.setattr("jobcron.operations._rows.search.NEAREST", 2)
    cut = operator("jobs", "--graph", jobs[2])
    assert cut.endswith("\n# of this graph the 10,000 nearest jobs have been looked at: it has more\n")
    assert operator("cancel", "--graph", jobs[2], "--yes").startswith("cancel: 3 cancelled, 0 refused; ")
    assert [row.status for row in instance.rows()] == [X, X, X, W]
    assert operator("retry", "--graph", jobs[1], "--yes").startswith("retry: 3 requeued, 0 refused; ")
    assert [row.status for row in instance.rows()] == [W, B, B, W]
    assert operator("set-done", jobs[1]).startswith("set-done: 1 set done, 0 refused; ")
    assert instance.row(jobs[2]).status is W
    assert alone


@pytest.mark.feature("OCQ-05")
def test_of_several_operators_at_once_each_job_is_moved_by_exactly_one(operator: Operator) -> None:
    with operator.instance.session() as session:
        numbers = {JobFactory(session).makeJob(F).id for _ in range(60)}
    command = [
        str(JOBCRON),
        "--config",
        str(operator.instance.path),
        "retry",
        "--status",
        "failed",
        "--yes",
        "--json",
    ]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [json.loads(process.communicate(timeout=300)[0]) for process in started]
    assert {process.returncode for process in started} <= {0, 1}
    moved = [number for one in told for number in one["moved"]]
    assert sorted(moved) == sorted(numbers)
    for number in numbers:
        assert operator.instance.events(number) == ["requeued"]
    reasons = {refusal["reason"] for one in told for refusal in one["refused"]}
    assert reasons <= {"its row is locked by another session", "it is WAITING"}
