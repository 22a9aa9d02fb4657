"""The progress line: a long run shows on a terminal how far it is, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest

from instances import Instance
from paths import JOBCRON

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def on_terminal(instance: Instance, *arguments: str, term: str = "xterm") -> str:
    """Run a section with its standard error on a terminal; return what was written there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path), "TERM": term}
    child = subprocess.Popen([JOBCRON, "run", *arguments], env=environment, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 10_000)
        except OSError:  # the terminal has no other end any more
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert child.wait(timeout=60) == 0
    return written.decode()


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_long_run_shows_on_a_terminal_how_far_it_is(instance: Instance) -> None:
    instance.act(("sleep", 1.2), ("write", "x"))
    for _ in range(5):
        instance.act(("sleep", 0.4), ("write", "x"))
    instance.act(("raise", "value"))
    text = on_terminal(instance, "act")
    lines = re.findall("\x1b\\[K([^\r\n]*)\r(?!\n)", text)
    shown = [line for line in lines if line]
    assert 2 <= len(shown) <= 4
    assert re.fullmatch(r"1 job completed, 0 did not, 0\.\d a second", shown[0])
    for line in shown[1:]:
        assert re.fullmatch(r"\d jobs completed, [01] did not, \d\.\d a second", line)
    assert lines[-1] == ""  # it leaves nothing behind
    rest = re.sub("\x1b\\[K[^\r\n]*\r(?!\n)", "", text)
    assert re.findall(r"INFO    .*?\r\n", rest)[-1] == "INFO    1 ActJob jobs did not complete.\r\n"
    assert "\x1b" not in rest


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("how", ["dumb", "quiet", "no terminal", "short"])
@on_sqlite
def test_nobody_else_sees_how_far_a_run_is(instance: Instance, how: str) -> None:
    for _ in range(3):
        instance.act(("sleep", 0.1 if how == "short" else 0.6))
    match how:
        case "dumb":
            text = on_terminal(instance, "act", term="dumb")
        case "quiet":
            text = on_terminal(instance, "act", "-q")
        case "short":
            text = on_terminal(instance, "act")
        case _:
            _, text = instance.command("run", "act", extra_env={"TERM": "xterm"})
    assert "jobs completed" not in text
    assert "\x1b" not in text
