"""Copies of the checkout, and the tests that are run in them."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

from lines import Coverage, watched
from warm import CANNOT, READY

ROOT = Path(__file__).resolve().parent.parent.parent

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

MOST_SECONDS_OF_A_TEST = 45.0
"""A test that takes longer has noticed the change: something waits for ever."""

MOST_MEMORY = 4 << 30
"""A change may fill the memory of a machine on which others work."""

_ages = count(1)


class Tree:
    """A copy of the files of the checkout, compiled.

    Args:
        path: where to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in names.split("\0"):
            if name and os.path.lexists(ROOT / name):
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name, follow_symlinks=False)
        compileall.compile_dir(path / "lib", quiet=2)

    def write(self, module: str, source: str) -> None:
        """Write a module, with another time each time: a compiled file of another change is not taken for it."""
        file = self.path / "lib" / "jobcron" / module
        file.write_text(source)
        age = file.stat().st_mtime - next(_ages) * 10
        os.utime(file, (age, age))

    def run(self, options: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """Run tests; return the status, None after so many seconds, and what they said."""
        process = subprocess.Popen(
            [*PYTEST, *options],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(self.path / "lib")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_limit_memory,
        )
        try:
            told, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
        return process.returncode, told


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


class Warm:
    """A process that has collected tests, and runs some of them in a fork of itself, with a changed module.

    Args:
        tree: the copy of the checkout in which it works.
        files: of tests.
        first: a test of PostgreSQL, which starts the server that all use.
    """

    def __init__(self, tree: Tree, files: Iterable[str], first: str) -> None:
        self.tree = tree
        self._before = tree.path / "before.py"
        orders, told = os.pipe(), os.pipe()
        paths = f"{tree.path / 'lib'}:{Path(__file__).parent}"
        lines = f"{orders[0]} {told[1]}"
        with (tree.path / "warm.log").open("w") as log:
            self._process = subprocess.Popen(
                [*PYTEST, "-n", "0", f"--timeout={MOST_SECONDS_OF_A_TEST}", "-p", "warm", *files],
                cwd=tree.path,
                env={**os.environ, "PYTHONPATH": paths, "MUTANTS_LINES": lines, "MUTANTS_FIRST": first},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(orders[0], told[1]),
                preexec_fn=_limit_memory,
            )
        os.close(orders[0])
        os.close(told[1])
        self._orders, self._told = os.fdopen(orders[1], "w"), os.fdopen(told[0])
        if (answer := json.loads(self._told.readline() or "null")) != READY:
            raise SystemExit(f"expected {READY}, got {answer}: see {tree.path / 'warm.log'}")

    def test_that_notices(self, module: str, before: str, tests: Sequence[str], seconds: float) -> str | None:
        """Return the first of some tests that fails for the module as it is in the tree."""
        self._before.write_text(before)
        order = {
            "module": f"jobcron.{module.removesuffix('.py').replace('/', '.')}",
            "before": str(self._before),
            "file": str(self.tree.path / "lib" / "jobcron" / module),
            "tests": tests,
            "seconds": 60 + 4 * seconds,
        }
        print(json.dumps(order), file=self._orders, flush=True)
        told = json.loads(self._told.readline())
        if told == CANNOT:
            return test_that_notices(self.tree, tests, seconds)
        return None if told is None else str(told)


class Tests:
    """How long each test takes, and what it executes.

    Args:
        seconds: how long each test takes.
        coverage: for each module, which of them execute which statement.
    """

    def __init__(self, seconds: dict[str, float], coverage: dict[str, Coverage]) -> None:
        self.seconds = seconds
        self._coverage = coverage
        self._noticed: dict[tuple[str, int], list[str]] = {}

    def of(self, module: str, line: int, most_seconds: float) -> list[str]:
        """Return the tests of a line, of so many seconds: those that noticed a change of it, then the quickest."""
        executing = self._coverage[module].tests_of(line)
        names = self.seconds.keys() & executing
        proven = self._noticed.get((module, line), [])
        chosen, sum_of_seconds = list[str](), 0.0
        for name in sorted(names, key=lambda name: (name not in proven, self.seconds[name])):
            sum_of_seconds += self.seconds[name]
            if chosen and sum_of_seconds > most_seconds:
                break
            chosen.append(name)
        return chosen

    @property
    def first(self) -> str:
        """The quickest test of PostgreSQL, or of all if none is chosen there."""
        of_server = [name for name in self.seconds if "[postgresql" in name]
        return min(of_server or self.seconds, key=self.seconds.__getitem__)

    def note(self, module: str, line: int, test: str) -> None:
        """Note that a test noticed a change of a line."""
        self._noticed.setdefault((module, line), []).append(test)


def measure(tree: Tree, modules: Sequence[str], files: Sequence[str], names: str, folder: Path) -> Tests:
    """Run tests of matching names once, while each module notes what they execute; those that fail are not used.

    What was measured before is used if neither the modules nor the tests have changed since.

    Raises:
        SystemExit: none succeeds.
    """
    sources = {module: (ROOT / "lib" / "jobcron" / module).read_text() for module in modules}
    logs = {module: folder / f"{module.replace('/', '-')}.lines" for module in modules}
    noting = {module: watched(sources[module], logs[module]) for module in modules}
    results, key = folder / "measured.xml", folder / "measured.key"
    digest = _digest([names, *sources.values(), *((ROOT / file).read_text() for file in files)])
    if not key.exists() or key.read_text() != digest:
        key.unlink(missing_ok=True)
        for module in modules:
            logs[module].unlink(missing_ok=True)
            tree.write(module, noting[module][0])
        options = ["-n", "2", "-k", names, f"--timeout={MOST_SECONDS_OF_A_TEST}", f"--junitxml={results}"]
        tree.run([*options, *files], 7200)
        key.write_text(digest)
    for module in modules:
        tree.write(module, sources[module])
    coverage = {module: Coverage(noting[module][1], logs[module]) for module in modules}
    return Tests(_seconds(results), coverage)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _seconds(results: Path) -> dict[str, float]:
    """Return how long each test has taken that succeeded."""
    seconds = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        if all(child.tag not in ("failure", "error", "skipped") for child in case):
            seconds[name] = float(case.get("time", 0))
        else:
            print(f"not used, since it did not succeed as it is: {name}", flush=True)
    if not seconds:
        raise SystemExit("no test succeeds without a change")
    return seconds


def test_that_notices(tree: Tree, tests: Sequence[str], seconds: float) -> str | None:
    """Return the name of the first of some tests that fails, or takes too long; None if none does."""
    options = ["-x", "-n", "0", f"--timeout={MOST_SECONDS_OF_A_TEST}", *tests]
    status, told = tree.run(options, 60 + 4 * seconds)
    if status == 0:
        return None
    named = re.findall(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", told, re.MULTILINE)
    return named[-1] if named else "(no test could be run to its end)"
