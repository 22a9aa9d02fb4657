"""Change the modules that decide, one place at a time, and see whether a test notices: ``make mutants``.

    python tools/mutants [--only claim] [--tests FILES] [--names EXPRESSION] [--sample N] [--seed N]
        [--seconds N] [--processes N] [--folder FOLDER]

cosmic-ray makes the changes: one of each kind for each place. In a copy of the checkout, tests run once, on both
databases, while it is noted which of them execute which statements. Then each change is tried against the tests
that execute its statement, until one fails: first those that noticed another change of that line, then the
quickest. Where only the code of functions changes, they run in forks of a process that has
imported and collected everything. What is tried is kept in FOLDER, by default build/mutants. The next call tries
again what no test noticed, and nothing else, until the module changes: so new tests are tried out. The survivors
are printed: each is a gap in the tests, or a change that changes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import queue
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from changes import Change, changed, changed_lines, changes_of
from trying import ROOT, Tests, Tree, Warm, measure

MODULES = (
    "queue/claim.py",
    "queue/finish.py",
    "queue/outcome.py",
    "queue/error_rules.py",
    "runner/_keeper.py",
    "runner/attempt.py",
    "runner/_fence.py",
    "runner/_completion.py",
    "runner/_backlog.py",
)
"""The modules that decide, below ``lib/jobcron``."""

FILES = """
queue/test_claim.py queue/test_line.py queue/test_type_feed.py queue/test_channels.py
queue/test_claims_in_channels.py queue/test_sequential.py queue/test_source_feed.py
queue/test_finish.py queue/test_error_rules.py queue/test_outcome.py queue/test_retry_backoff.py
runner/test_attempt.py runner/test_backlog.py runner/test_cancelled.py
runner/test_clean_up.py runner/test_crash_limit.py runner/test_death.py runner/test_failure.py
runner/test_fence.py runner/test_job_runner.py runner/test_keeper.py runner/test_lease_renewal.py
runner/test_left_on_connection.py runner/test_max_runtime.py runner/test_one_batch.py runner/test_own_row.py
runner/test_releases.py runner/test_signals.py runner/test_stopping.py runner/test_takeover.py
runner/test_time_limit.py runner/test_unfinished.py jobs/moves/test_twins.py jobs/test_own_move.py
steps/test_progress.py database/test_trouble.py database/connecting/test_alone.py
"""
"""The files below ``tests`` that are about them."""

NAMES = "not psycopg and not four_runners"
"""Not the tests of the second driver, nor the longest work of several processes."""


class Tried(NamedTuple):
    """What became of a change.

    Attributes:
        change: the change.
        lines: how it changes the module.
        tests: how many tests execute its statement, of those that were tried.
        noticed_by: one of them that failed, or None.
    """

    change: Change
    lines: str
    tests: int
    noticed_by: str | None


class Trials:
    """The trials of all modules' changes.

    Args:
        tests: the tests, measured.
        warm: processes that nobody uses, each in a copy of the checkout of its own.
        options: those of the command line.
    """

    def __init__(self, tests: Tests, warm: Sequence[Warm], options: argparse.Namespace) -> None:
        self._tests = tests
        self._options = options
        self._warm: queue.Queue[Warm] = queue.Queue()
        for process in warm:
            self._warm.put(process)

    def of(self, module: str) -> str:
        """Try the changes of a module, and say how it went."""
        source = (ROOT / "lib" / "jobcron" / module).read_text()
        digest = hashlib.sha256(source.encode()).hexdigest()[:12]
        results = self._options.folder / f"{module.replace('/', '-')}-{digest}.jsonl"
        changes = changes_of(source, self._options.seed)
        if self._options.sample:
            chosen = random.Random(self._options.seed).sample(changes, min(self._options.sample, len(changes)))
            changes = sorted(chosen)
        before = _noticed_before(results)
        new = [change for change in changes if repr(change) not in before]
        with ThreadPoolExecutor(self._options.processes) as executor:
            tried = list(executor.map(lambda change: self._try(module, source, change, results), new))
        left = [one for one in tried if one.noticed_by is None]
        told = f"{module}: {len(changes)} changes, {len(changes) - len(left)} noticed"
        return "\n".join([told, *(_told(one) for one in left)])

    def _try(self, module: str, source: str, change: Change, results: Path) -> Tried:
        after, line = changed(source, change), change.place[0]
        tests = self._tests.of(module, line, self._options.seconds)
        seconds = sum(self._tests.seconds[name] for name in tests)
        noticed = None
        if tests:
            warm = self._warm.get()
            warm.tree.write(module, after)
            noticed = warm.test_that_notices(module, source, tests, seconds)
            warm.tree.write(module, source)
            self._warm.put(warm)
        if noticed in tests:
            self._tests.note(module, line, noticed)
        tried = Tried(change, changed_lines(source, after), len(tests), noticed)
        with results.open("a") as file:
            file.write(json.dumps({**tried._asdict(), "key": repr(change)}) + "\n")
        return tried


def _noticed_before(results: Path) -> set[str]:
    if not results.exists():
        return set()
    found = map(json.loads, results.read_text().splitlines())
    return {str(tried["key"]) for tried in found if tried["noticed_by"]}


def _told(tried: Tried) -> str:
    change = tried.change
    return f"line {change.place[0]}, {change.operator}, {tried.tests} tests\n{tried.lines}"


def main() -> None:
    """Try the changes of each module, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="modules whose path has this")
    parser.add_argument("--tests", default=FILES, help="files of tests, below tests")
    parser.add_argument("--names", default=NAMES, help="which of their tests, as pytest -k")
    parser.add_argument("--sample", type=int, default=0, help="so many changes of each module, not all")
    parser.add_argument("--seed", type=int, default=1, help="another variant of each kind, another sample")
    parser.add_argument("--seconds", type=float, default=60, help="how long the tests of one change may take")
    parser.add_argument("--processes", type=int, default=2, help="how many changes are tried at the same time")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants", help="for copies and results")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    files = [f"tests/{name}" for name in options.tests.split()]
    modules = [module for module in MODULES if options.only in module]
    trees = [Tree(options.folder / f"tree{number}") for number in range(options.processes)]
    tests = measure(trees[0], modules, files, options.names, options.folder)
    trials = Trials(tests, [Warm(tree, files, tests.first) for tree in trees], options)
    told = []
    for module in modules:
        told.append(trials.of(module))
        print(told[-1], flush=True)
    (options.folder / "survivors.txt").write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
