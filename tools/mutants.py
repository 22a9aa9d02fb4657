"""Change the modules that decide, one place at a time, and see whether a test notices: ``make mutants``.

    python tools/mutants.py [--sample N] [--seed N] [--only claim] [--folder FOLDER]

cosmic-ray makes the changes (mutants), in a copy of the checkout, and runs for each the fast tests of its module,
on SQLite; for those that survive, more tests of that module, on both databases. Of each module's mutants a sample
is tried: of all there are hundreds, and a run takes seconds or minutes. Mutants in annotations, which nothing
reads, are left out. The survivors are printed, and stay in FOLDER, by default build/mutants: each is a gap in the
tests, or a change that changes nothing. Other tests may notice some of them.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import importlib
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

SAMPLE = 10

FAST = "(sqlite or not postgresql and not psycopg) and not four_runners"
"""The names of fast tests: no server, and no long work of several processes."""

MOST_SECONDS = 900.0
"""Tests that take longer have noticed the mutant: something waits for ever."""


class Module(NamedTuple):
    """A module that decides, and its tests, by their files below ``tests``.

    Attributes:
        path: below ``lib/jobcron``.
        fast: are run on SQLite for each mutant.
        wider: are run as well, on both databases, for those that survived.
    """

    path: str
    fast: str
    wider: str


MODULES = (
    Module(
        "queue/claim.py",
        "queue/test_claim.py queue/test_line.py queue/test_type_feed.py",
        "queue/test_channels.py queue/test_source_feed.py runner/test_takeover.py runner/test_crash_limit.py"
        " runner/test_cancelled.py",
    ),
    Module(
        "queue/finish.py",
        "queue/test_finish.py queue/test_error_rules.py runner/test_attempt.py",
        "runner/test_death.py runner/test_own_row.py runner/test_releases.py jobs/moves/test_twins.py",
    ),
    Module(
        "queue/outcome.py",
        "queue/test_outcome.py queue/test_finish.py queue/test_error_rules.py",
        "queue/test_retry_backoff.py runner/test_crash_limit.py runner/test_releases.py runner/test_stopping.py",
    ),
    Module(
        "queue/error_rules.py",
        "queue/test_error_rules.py queue/test_retry_backoff.py",
        "runner/test_failure.py runner/test_releases.py runner/test_unfinished.py",
    ),
    Module(
        "runner/_keeper.py",
        "runner/test_keeper.py runner/test_time_limit.py runner/test_stopping.py",
        "runner/test_lease_renewal.py runner/test_signals.py runner/test_clean_up.py",
    ),
    Module(
        "runner/attempt.py",
        "runner/test_attempt.py runner/test_fence.py runner/test_own_row.py",
        "runner/test_lease_renewal.py runner/test_takeover.py jobs/test_own_move.py steps/test_progress.py",
    ),
    Module(
        "runner/_fence.py",
        "runner/test_fence.py runner/test_own_row.py",
        "runner/test_death.py steps/test_progress.py runner/test_left_on_connection.py",
    ),
    Module(
        "runner/_completion.py",
        "runner/test_own_row.py runner/test_job_runner.py runner/test_death.py",
        "runner/test_fence.py jobs/test_own_move.py database/connecting/test_alone.py",
    ),
    Module(
        "runner/_backlog.py",
        "runner/test_job_runner.py runner/test_keeper.py",
        "runner/test_stopping.py runner/test_max_runtime.py runner/test_one_batch.py",
    ),
)

Position = tuple[int, int]


class Mutant(NamedTuple):
    """A change of a module.

    Attributes:
        place: its line and column.
        operator: what is changed, as cosmic-ray calls it.
        occurrence: which of several such changes in the module.
    """

    place: Position
    operator: str
    occurrence: int


def annotations_of(source: str) -> list[tuple[Position, Position]]:
    """Return where a module has annotations: the first and the last position of each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                found.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return found


def copy_checkout(folder: Path) -> Path:
    """Copy the files of the checkout, compiled, and return where to."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in names.split("\0"):
        if name and os.path.lexists(ROOT / name):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    compileall.compile_dir(tree / "lib", quiet=2)
    return tree


def environment(tree: Path) -> dict[str, str]:
    """Return the environment of the tests: they import the copy, and write no compiled files of mutants."""
    return {**os.environ, "PYTHONPATH": str(tree / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}


def command_of(module: Module, *, is_wide: bool) -> str:
    """Return the command of a module's tests, which ends at the first failure."""
    options = ["-q", "-x", "-p", "no:cacheprovider", *(["-n", "2"] if is_wide else ["-n", "0", "-k", FAST])]
    tests = [f"tests/{name}" for name in (module.fast + (f" {module.wider}" if is_wide else "")).split()]
    return shlex.join([sys.executable, "-m", "pytest", *options, *tests])


class Session:
    """A session of cosmic-ray's: the mutants of one module, and what some tests say of them.

    Args:
        module: which is mutated.
        tree: the copy of the checkout.
        folder: for the session's files.
        is_wide: whether the wider tests are run.
    """

    def __init__(self, module: Module, tree: Path, folder: Path, *, is_wide: bool) -> None:
        self.module = module
        self.source = tree / "lib" / "jobcron" / module.path
        self._tree = tree
        self._command = command_of(module, is_wide=is_wide)
        name = f"{self.source.stem.strip('_')}{'-wide' if is_wide else ''}"
        self._config, self._file = folder / f"{name}.toml", folder / f"{name}.sqlite"

    def make(self) -> None:
        """Find the mutants.

        Raises:
            SystemExit: the tests fail without any mutant.
        """
        shutil.rmtree(
            self.source.parent / "__pycache__", ignore_errors=True
        )  # no mutant is to be taken from there
        self._config.write_text(
            f'[cosmic-ray]\nmodule-path = "{self.source}"\ntimeout = {MOST_SECONDS}\nexcluded-modules = []\n'
            f"test-command = '''{self._command}'''\n\n[cosmic-ray.distributor]\nname = \"local\"\n"
        )
        self._file.unlink(missing_ok=True)
        if self._call(*shlex.split(self._command)):
            raise SystemExit(f"the tests of {self.module.path} fail without a mutant: {self._command}")
        self._use_tool("init")

    def mutants(self) -> dict[Mutant, str]:
        """Return the jobs of cosmic-ray's by their mutants, without those in annotations."""
        annotations = annotations_of(self.source.read_text())
        with self._work() as work:
            places = {item.job_id: item.mutations[0] for item in work.work_items}
        return {
            Mutant(change.start_pos, change.operator_name, change.occurrence): job
            for job, change in places.items()
            if not any(begin <= change.start_pos < end for begin, end in annotations)
        }

    def try_out(self, chosen: Collection[Mutant]) -> dict[Mutant, str]:
        """Run the tests for some mutants; return how the lines of those differ that survived."""
        mutants = self.mutants()
        jobs = {mutants[mutant]: mutant for mutant in chosen}
        work_item: Any = importlib.import_module("cosmic_ray.work_item")
        with self._work() as work:
            others = [item.job_id for item in work.work_items if item.job_id not in jobs]
            skipped = work_item.WorkResult(worker_outcome=work_item.WorkerOutcome.SKIPPED)
            work.set_multiple_results(others, skipped)
        self._use_tool("exec")
        with self._work() as work:
            results = list(work.results)
        survived = work_item.TestOutcome.SURVIVED
        return {
            jobs[job]: changed_lines(result.diff) for job, result in results if result.test_outcome is survived
        }

    def _work(self) -> Any:
        work_db: Any = importlib.import_module("cosmic_ray.work_db")
        return work_db.use_db(str(self._file), work_db.WorkDB.Mode.open)

    def _use_tool(self, act: str) -> None:
        if self._call(str(Path(sys.executable).with_name("cosmic-ray")), act, str(self._config), str(self._file)):
            raise SystemExit(f"cosmic-ray {act} failed for {self.module.path}")

    def _call(self, *command: str) -> int:
        called = subprocess.run(command, cwd=self._tree, env=environment(self._tree), stdout=subprocess.DEVNULL)
        return called.returncode


def changed_lines(diff: str) -> str:
    """Return the lines that a mutant changes: as they were, and as they are."""
    lines = [line for line in diff.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]
    return "\n".join(line for line in lines if line)


def try_out(module: Module, tree: Path, folder: Path, size: int, seed: int) -> str:
    """Try a sample of a module's mutants, the survivors with more tests; say how it went."""
    session = Session(module, tree, folder, is_wide=False)
    session.make()
    mutants = sorted(session.mutants())
    chosen = random.Random(f"{seed} {module.path}").sample(mutants, min(size, len(mutants)))
    survivors = session.try_out(chosen)
    fast = len(chosen) - len(survivors)
    if survivors:
        wider = Session(module, tree, folder, is_wide=True)
        wider.make()
        survivors = wider.try_out(survivors)
    told = f"{module.path}: {len(mutants)} mutants, {len(chosen)} tried; noticed by fast tests {fast}, "
    told += f"by any {len(chosen) - len(survivors)}"
    lines = (f"line {mutant.place[0]}, {mutant.operator}\n{survivors[mutant]}" for mutant in sorted(survivors))
    return "\n".join([told, *lines])


def main() -> None:
    """Try the mutants of each module, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants of each module")
    parser.add_argument("--seed", type=int, default=1, help="another sample")
    parser.add_argument("--only", default="", help="modules whose path has this")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "mutants", help="for the copy and the results"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    tree = copy_checkout(options.folder.resolve())
    told = []
    for module in MODULES:
        if options.only in module.path:
            told.append(try_out(module, tree, options.folder.resolve(), options.sample, options.seed))
            print(told[-1], flush=True)
    (options.folder / "survivors.txt").write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
