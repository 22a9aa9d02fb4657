"""Generate the page that says which promises are kept, and which tests show each.

The promises are in ``features.toml``. ``@pytest.mark.feature("LP-07")`` on a test says which of them it shows. The
marks are read from the source: nothing has to be imported, so the page can be built where the tests cannot run.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from generate_text import Incomplete, table

ROOT = Path(__file__).parents[1]
PROMISES = Path(__file__).with_name("features.toml")
TEST_FOLDERS = (ROOT / "tests", ROOT / "examples")

CLAIMED, NOT_YET = "claimed", "not yet"


class Promise(NamedTuple):
    """A row of the list of promises."""

    id: str
    text: str
    status: str


class Shown(NamedTuple):
    """A test, and the ids that it is marked with."""

    path: Path
    name: str
    ids: tuple[str, ...]


def promises(path: Path = PROMISES) -> dict[str, list[Promise]]:
    """Return all promises, by the title of the system that made them.

    Raises:
        Incomplete: one has no text, or a status that there is not.
    """
    found: dict[str, list[Promise]] = {}
    for system, content in tomllib.loads(path.read_text(encoding="utf-8")).items():
        rows = found[content["title"]] = []
        for number, promise in content["promises"].items():
            row = Promise(f"{system}-{number}", promise.get("text", ""), promise.get("status", ""))
            if not row.text or row.status not in (CLAIMED, NOT_YET):
                raise Incomplete(
                    f"{path}: expected {row.id} to have a text, and a status {CLAIMED!r} or {NOT_YET!r}, got {row}"
                )
            rows.append(row)
    return found


def marked_tests(folders: Iterable[Path] = TEST_FOLDERS) -> Iterator[Shown]:
    """Iterate over the tests that are marked with a promise.

    Raises:
        Incomplete: a mark's ids cannot be told from the source.
    """
    for path in sorted(file for folder in folders for file in folder.rglob("test_*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        yield from _marked_in(path, body, ())


def _marked_in(path: Path, body: list[ast.stmt], outer: tuple[str, ...]) -> Iterator[Shown]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            ids = (*outer, *_ids(path, node.decorator_list))
            if isinstance(node, ast.ClassDef):
                yield from _marked_in(path, node.body, ids)
            elif node.name.startswith("test_") and ids:
                yield Shown(path, node.name, ids)


def _ids(path: Path, decorators: list[ast.expr]) -> Iterator[str]:
    for mark in decorators:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.feature":
            for argument in mark.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise Incomplete(f"{path}, line {mark.lineno}: expected ids as texts, got {ast.unparse(mark)}")
                yield argument.value


def tests_of(rows: Iterable[Promise], shown: Iterable[Shown]) -> dict[str, list[Shown]]:
    """Return the tests of each promise.

    Raises:
        Incomplete: a claimed promise has none, or a test names an id that there is not.
    """
    every = {row.id: row for row in rows}
    found: defaultdict[str, list[Shown]] = defaultdict(list)
    for test in shown:
        for number in test.ids:
            if number not in every:
                raise Incomplete(f"{test.path}: {test.name} names {number}, which is not in {PROMISES.name}")
            found[number].append(test)
    untested = [row.id for row in every.values() if row.status == CLAIMED and not found[row.id]]
    if untested:
        raise Incomplete(f"{PROMISES.name}: claimed, and shown by no test: {', '.join(untested)}")
    return found


def features() -> str:
    """Return all promises, with their status, and the tests that show each."""
    systems = promises()
    tests = tests_of((row for rows in systems.values() for row in rows), marked_tests())
    parts = []
    for title, rows in systems.items():
        cells = [
            [_link(row.id, tests[row.id]), row.text, _status(row, tests[row.id]), str(len(tests[row.id]) or "")]
            for row in rows
        ]
        parts += [f"## {title}\n", table(["id", "promise", "status", "tests"], cells)]
        parts += [_details(row.id, tests[row.id]) for row in rows if tests[row.id]]
    return "\n".join(parts)


def _link(number: str, tests: list[Shown]) -> str:
    """Return an id that is not broken at its hyphen, and leads to its tests if there are any."""
    unbroken = number.replace("-", "\u2011")
    return f"[{unbroken}](#{number.lower()})" if tests else unbroken


def _status(row: Promise, tests: list[Shown]) -> str:
    if row.status == CLAIMED:
        return "kept"
    return "in part" if tests else "not yet"


def _details(number: str, tests: list[Shown]) -> str:
    """Return the tests of a promise, by file; their names are sentences."""
    files: defaultdict[Path, list[str]] = defaultdict(list)
    for test in tests:
        files[test.path].append(test.name.removeprefix("test_").replace("_", " "))
    lines = [f"- `{path.relative_to(ROOT)}`: {'; '.join(names)}" for path, names in files.items()]
    return "\n".join([f"### {number}\n", *lines]) + "\n"
