"""``jobcron channels``, and pauses of channels."""

from __future__ import annotations

import pytest

from channel_jobs import SOMEBODY, take_all
from operating import Operator


def test_channels_are_listed_set_and_reset(operator: Operator) -> None:
    assert operator.table("channels") == []
    (row,) = operator.table("channels", "set", "root.export", "--capacity", "1", "--throttle", "10/1m")
    assert (row["channel"], row["capacity"], row["per key"], row["throttle"]) == (
        "root.export",
        "1",
        "-",
        "0 of 10 in 60 s",
    )
    running = operator.instance.act(channel="root.export.eu")
    operator.instance.act(channel="root.export")
    assert take_all(operator.instance) == [running]
    rows = {row["channel"]: row for row in operator.table("channels")}
    export = rows["root.export"]
    assert (export["running"], export["waiting"], export["jobs"], export["by"]) == (
        "1",
        "1",
        str(running),
        SOMEBODY.name,
    )
    assert export["state"].startswith("full, changed by ")
    assert export["throttle"] == "1 of 10 in 60 s"
    (state,) = operator.json("channels", "set", "root.export", "--throttle", "none")["channels"]
    assert (state["capacity"], state["throttle"], state["period"]) == (1, None, None)
    (row,) = operator.table("channels", "reset", "root.export")
    assert (row["capacity"], row["state"]) == ("-", "open")


def test_a_channel_that_keeps_its_order_says_whose_turn_it_is_and_goes_on_when_told_to(operator: Operator) -> None:
    (row,) = operator.table("channels", "set", "root.export", "--sequential", "channel")
    assert row["state"].startswith("in order, changed by ")
    failing = operator.instance.act(("raise", "value"), channel="root.export")
    waiting = operator.instance.act(channel="root.export")
    operator.instance.run("act")
    (row,) = operator.table("channels")
    assert row["state"].startswith(f"full, in order, turn of {failing}, changed by ")
    told = operator("why", waiting, expect=1)
    assert f"channel root.export keeps its order: it is the turn of job {failing}, which is Failed" in told
    assert f"jobcron retry {failing}, jobcron set-done {failing}, or jobcron channels skip root.export" in told
    (state,) = operator.json("channels", "skip", "root.export")["channels"]
    assert (state["sequential"], state["turns"]) == ("channel", [])
    assert take_all(operator.instance) == [waiting]
    (state,) = operator.json("channels", "set", "root.export", "--sequential", "none")["channels"]
    assert state["sequential"] is None
    operator("channels", "skip", "root.export", expect=2)
    assert "expected a channel that is sequential, got: root.export" in operator.err


def test_a_limit_of_a_channel_that_nobody_names_is_set_with_a_warning(operator: Operator) -> None:
    operator.instance.act(channel="root.export")
    (row,) = operator.table("channels", "set", "root.exprot", "--capacity", "1")
    assert row["capacity"] == "1"
    assert (
        "jobcron: warning: channels set: no section, class or job that waits or runs, or limit, names"
        in operator.err
    )
    assert "the channel root.exprot; did you mean root.export?; it limits what is created there" in operator.err
    for name in ("root.export", "root.export.eu", "root"):
        operator("channels", "set", name, "--capacity", "1")
        assert operator.err == ""


def test_a_channel_is_paused_and_its_state_says_so(operator: Operator) -> None:
    job = operator.instance.act(channel="root.export")
    assert operator("pause", "--channel", "root.export").startswith("channel root.export is paused by ")
    (row,) = operator.table("channels")
    assert row["state"] == "paused"
    assert "1. paused: channel root.export is paused by" in operator("why", job, expect=1)
    assert operator("unpause", "--channel", "root.export").startswith("ended: channel root.export is paused by ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["set"], "channels set: expected the name of a channel"),
        (["set", "root"], "channels set: expected --capacity, --per-key, --throttle or --sequential"),
        (
            ["set", "export", "--capacity", "1"],
            "expected the name of a channel such as root.export (root, or root. and names",
        ),
        (["set", "root", "--capacity", "-1"], "expected a whole number, at least 0, or none; got -1"),
        (["set", "root", "--throttle", "10"], "expected a number of starts and a period, such as 10/1m, got: 10"),
        (["set", "root", "--sequential", "yes"], "argument --sequential: invalid choice: 'yes' (choose from "),
        (["skip", "root"], "expected a channel with limits, got: root"),
        (["reset", "root"], "expected a channel with limits, got: root"),
        (["list", "--capacity", "1"], "channels list: expected none of its options"),
    ],
)
def test_a_wrong_command_line_is_told(operator: Operator, arguments: list[str], told: str) -> None:
    operator("channels", *arguments, expect=2)
    assert told in operator.err


def test_jobs_in_the_channel_of_their_section_are_counted_before_they_run(operator: Operator) -> None:
    operator.instance.configure(
        sections="[act]\nsource_interface: fooapp.IActJobSource\nchannel: root.export\n"
        "[channel:root.export]\ncapacity: 1\n"
    )
    operator.instance.run("act")
    operator.instance.act()
    operator.instance.act(channel="root.export.eu")
    rows = {row["channel"]: row for row in operator.table("channels")}
    assert {name: row["waiting"] for name, row in rows.items()} == {"root.export": "2", "root.export.eu": "1"}
    (row,) = operator.table("channels", "set", "root.export", "--capacity", "2")
    assert (row["capacity"], row["waiting"]) == ("2", "2")


def test_a_skip_without_a_job_that_keeps_its_turn_is_refused_and_a_misspelt_channel_answered(
    operator: Operator,
) -> None:
    operator("channels", "set", "root.export", "--sequential", "channel")
    operator("channels", "skip", "root.export", expect=2)
    assert "expected a channel in which a job keeps its turn, got: root.export, in which none does" in operator.err
    operator("channels", "skip", "root.exprt", expect=2)
    assert "expected a channel with limits, got: root.exprt; did you mean root.export?" in operator.err
