"""Command lines of scripts: ``-v``, ``-q``, ``--help``, and arguments that are wrong."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.scripts.options import CommandLine
from script_runs import TIME, do_foo

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize(
    ("options", "levels"),
    [
        (["-v"], {"DEBUG", "INFO"}),
        (["-vv"], {"DEBUG", "INFO"}),
        ([], {"INFO"}),
        (["-v", "-q"], {"INFO"}),
        (["-q"], set()),
        (["-qqqq"], set()),
    ],
    ids=lambda value: " ".join(sorted(value)) or "none",
)
@on_sqlite
def test_v_says_more_and_q_says_less(instance: Instance, options: list[str], levels: set[str]) -> None:
    instance.act(("write", "x"))
    instance.act(("raise", "value"))
    out, err = instance.command("run", "act", *options)
    assert out == ""
    assert set(re.findall(f"^{TIME}([A-Z]+) ", err, re.MULTILINE)) == levels


@pytest.mark.feature("LP-16")
@on_sqlite
def test_q_still_says_what_went_wrong(instance: Instance) -> None:
    _, err = instance.command("run", "nothing_here", "-q", expect=2)
    assert "nothing_here" in err


@pytest.mark.feature("LP-12")
@pytest.mark.parametrize("arguments", [[], ["do_foo", "--nonsense"], ["--config"]])
@on_sqlite
def test_wrong_arguments_are_a_usage_error(instance: Instance, arguments: list[str]) -> None:
    job = do_foo(instance)
    out, err = instance.command("run", *arguments, expect=2)
    assert out == ""
    assert "usage: " in err
    assert "Traceback" not in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-12")
@on_sqlite
def test_help_is_on_standard_output(instance: Instance) -> None:
    out, err = instance.command("run", "--help")
    assert err == ""
    for part in ("SECTION", "--config", "--verbose", "--quiet", "--fail-on-job-failure"):
        assert part in out


@pytest.mark.parametrize("columns", ["40", "133", "0", "-7", "many", ""])
def test_helps_are_as_wide_as_argparse_makes_them(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    texts = []
    for parser in (CommandLine(prog="x"), argparse.ArgumentParser(prog="x")):
        parser.add_argument("--long-option", help="word " * 60)
        texts.append(parser.format_help())
    assert texts[0] == texts[1]


def test_a_command_line_is_read_without_what_only_measures_terminals() -> None:
    code = (
        "import sys; from jobcron.scripts.options import CommandLine; parser = CommandLine()\n"
        "parser.add_argument('--x'); parser.parse_args(['--x', '1']); print('shutil' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
