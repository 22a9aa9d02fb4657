"""``jobcron completion`` prints what completes command lines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobcron.commands.main import COMMANDS, main


def test_bash_completes_subcommands_and_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    ask = (
        f"{script}\nCOMP_WORDS=(jobcron $1 $2) COMP_CWORD=$#\n_shtab_jobcron; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )

    def complete(*words: str) -> set[str]:
        done = subprocess.run(["bash", "-c", ask, "bash", *words], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert complete("ret") == {"retry"}
    assert complete("pl") == {"plan"}
    assert {"--section", "--status", "--watch"} <= complete("jobs", "--")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_know_every_subcommand(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script or name.replace("-", "_") in script for name in COMMANDS)


def test_without_the_extra_it_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "expected the package shtab, which comes with the extra jobcron[cli]" in capsys.readouterr().err


def test_the_commands_import_neither_shtab_nor_rich() -> None:
    code = (
        "import sys, jobcron.commands.main as m; m.full_parser(list(m.COMMANDS)); "
        "sys.exit(bool({'shtab', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
