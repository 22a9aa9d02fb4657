"""The subcommands that pause, and what others say of it."""

from __future__ import annotations

import pytest

from jobcron import JobStatus
from operating import Operator


@pytest.mark.feature("N-02")
def test_a_section_is_paused_listed_and_goes_on(operator: Operator) -> None:
    number = operator.instance.act()
    out = operator("pause", "--section", "act", "--for", "2h", "--reason", "no\x1b[31m carrier")
    assert out.startswith("section act is paused by ")
    assert "\x1b" not in out
    assert " carrier\n" in out
    (row,) = operator.table("pause")
    assert (row["scope"], row["name"]) == ("section", "act")
    operator.instance.run("act")
    assert operator.instance.row(number).status is JobStatus.WAITING
    assert "1. paused: section act is paused by" in operator("why", number, expect=1)
    assert operator("unpause", "--section", "act").startswith("ended: section act is paused by ")
    assert operator.table("pause") == []
    operator.instance.run("act")
    assert operator.instance.row(number).status is JobStatus.COMPLETED


def test_the_same_as_json(operator: Operator) -> None:
    made = operator.json("pause", "--queue", "cats", "--until", "2090-01-01T00:00+00:00")
    assert made["before"] is None
    assert made["pause"]["until"] == "2090-01-01T00:00:00+00:00"
    again = operator.json("pause", "--queue", "cats")
    assert (again["before"], again["pause"]["until"]) == (made["pause"], None)
    assert operator("pause", "--queue", "cats").splitlines()[1].startswith("before: queue cats is paused by ")
    assert [one["name"] for one in operator.json("pause")["pauses"]] == ["cats"]
    assert operator.json("unpause", "--queue", "cats")["ended"]["scope"] == "queue"


def test_the_sections_and_their_check_tell_of_pauses(operator: Operator) -> None:
    operator.instance.act()
    operator.instance.run("act")
    operator("pause", "--section", "act")
    operator("pause", "--queue", "cats", "--for", "1h")
    rows = {row["section"]: row for row in operator.table("sections")}
    assert rows["act"]["state"] == "WARNING"
    assert "section act is paused by" in rows["act"]["findings"]
    assert "# queue cats is paused by" in operator("sections")
    operator("pause", "--channel", "root.mail", "--for", "1h")
    assert "# channel root.mail is paused by" in operator("sections")
    assert [one["scope"] for one in operator.json("sections")["pauses"]] == ["channel", "queue", "section"]
    out = operator("check-runs", expect=3)  # other sections have never run
    assert "WARNING  act: last run" in out
    assert "until somebody ends it" in out
    assert "OK       queues: queue cats is paused by" in out
    assert "OK       all channels: channel root.mail is paused by" in out
    operator("pause", "--section", "act", "--for", "1h")
    assert operator("check-runs", "act").startswith("JOBCRON OK - 1 section\n")
    assert "pause --until" not in operator("doctor", expect=3)
    operator("pause", "--queue", "cats")
    assert "queue cats is paused by" in operator("doctor", expect=3)
    operator("pause", "--channel", "root.mail")
    assert "WARNING  all channels: channel root.mail is paused by" in operator("check-runs", expect=3)
    assert "channel root.mail is paused by" in operator("doctor", expect=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pause", "--for", "2h"], "expected --section, --type, --queue or --channel together with --for"),
        (["pause", "--section", "acts"], "acts"),
        (["pause", "--section", "act", "--queue", "cats"], "not allowed with"),
        (["pause", "--section", "act", "--for", "0s"], "expected a pause that ends after"),
        (["pause", "--section", "act", "--until", "tomorrow"], "expected a time with its zone"),
        (["unpause", "--section", "act"], "expected a section that is paused, got: act; paused: nothing"),
        (["unpause"], "one of the arguments --section --type --queue --channel is required"),
    ],
)
def test_a_wrong_command_line_is_told(operator: Operator, arguments: list[str], words: str) -> None:
    operator(*arguments, expect=2)
    assert words in operator.err


def test_resuming_the_jobs_of_what_is_paused_is_answered_with_what_ends_the_pause(operator: Operator) -> None:
    operator("pause", "--section", "act")
    _, err = operator.instance.command("resume", "--section", "act", expect=2)
    assert err.rstrip().endswith("; jobcron unpause --section act ends that")
    _, err = operator.instance.command("resume", "--section", "do_foo", expect=2)
    assert "unpause" not in err
