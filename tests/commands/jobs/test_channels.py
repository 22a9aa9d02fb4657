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
        (["set", "root"], "channels set: expected --capacity, --per-key or --throttle"),
        (["set", "export", "--capacity", "1"], "expected the name of a channel such as root.export, got: export"),
        (["set", "root", "--capacity", "-1"], "expected a whole number, at least 0, or none; got -1"),
        (["set", "root", "--throttle", "10"], "expected a number of starts and a period, such as 10/1m, got: 10"),
        (["reset", "root"], "expected a channel with limits, got: root"),
        (["list", "--capacity", "1"], "channels list: expected none of its options"),
    ],
)
def test_a_wrong_command_line_is_told(operator: Operator, arguments: list[str], told: str) -> None:
    operator("channels", *arguments, expect=2)
    assert told in operator.err
