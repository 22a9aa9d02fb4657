"""Run the subcommands about jobs in the test's own process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from instances import Instance
from jobcron.commands.main import main


class Operator:
    """Runs ``jobcron`` on an instance.

    Args:
        instance: the instance.
        capsys: what captures what is printed.
    """

    def __init__(self, instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
        self.instance = instance
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: object, expect: int = 0) -> str:
        """Run a command line, and return what it prints; what it complains of is in `err`."""
        self._capsys.readouterr()
        try:
            status = main(["--config", str(self.instance.path), *map(str, arguments)])
        except SystemExit as left:
            status = int(str(left.code))
        out, self.err = self._capsys.readouterr()
        assert status == expect, f"status {status}, expected {expect}\n{out}\n{self.err}"
        return out

    def table(self, *arguments: object, expect: int = 0) -> list[dict[str, str]]:
        """Return the rows of the table that a command prints, by the heads of the columns."""
        lines = [line for line in self(*arguments, expect=expect).splitlines() if not line.startswith("# ")]
        heads = lines[0].split("\t")
        return [dict(zip(heads, line.split("\t"), strict=True)) for line in lines[1:]]

    def json(self, *arguments: object, expect: int = 0) -> Any:
        """Return what a command prints with ``--json``."""
        return json.loads(self(*arguments, "--json", expect=expect))
