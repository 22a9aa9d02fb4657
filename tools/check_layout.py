"""Check the rules of the layout that no other tool checks.

    python tools/check_layout.py [--later RULE]... [ROOT]

ROOT is a checkout: its package is lib/jobcron, its tests are in tests. The rules:

files      A file has at most 300 lines.
functions  A function has at most 45 lines, from its `def` to its end.
rooms      A room has at most 20 files; a room inside it counts as one.
probes     In the rooms that handle jobs and sources, only the adapter uses `hasattr`, and `getattr` with a
           default: elsewhere these objects have types. Names such as __qualname__ are Python's and may be asked
           for. For an object of another kind, say which at the end of the line or on the line above:
           `# any object: an error of the database driver`.
any        At most MAX_ANY lines of the package have the word `Any`, which turns the type checker off. The number
           only falls: lower it when you remove some.
tests      A module without an underscore has a test file: lib/jobcron/ROOM/NAME.py has tests/ROOM/test_NAME.py.

Each fault is one line, `file:line: what is wrong`, and the status is 1. A rule that --later names is checked as
well, but its faults are only counted.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MAX_FILE = 300
MAX_FUNCTION = 45
MAX_ROOM = 20

MAX_ANY = 133

LOW_ROOMS = ("database", "reports", "settings")
"""The rooms below jobs: they never see a job or a source."""

ADAPTER = "queue/views.py"
"""The module that gives each job and each source a type."""

REASON = re.compile(r"#\s*any object: *\S")
ANY = re.compile(r"\bAny\b")
TEST = re.compile(r"^\s*(async )?def test_", re.MULTILINE)


class Fault(NamedTuple):
    """A breach of a rule.

    Attributes:
        path: the file or the room.
        line: where in it; 1 for the file as a whole.
        text: what is wrong.
    """

    path: Path
    line: int
    text: str


class Module(NamedTuple):
    """A module of the package.

    Attributes:
        path: of its file.
        name: the path from the package's folder on: `runner/isolated/runner.py`.
        text: the source.
        tree: the parsed source.
    """

    path: Path
    name: Path
    text: str
    tree: ast.Module

    @property
    def is_public(self) -> bool:
        """Whether other rooms may import it."""
        return not any(part.startswith("_") for part in self.name.parts)


def modules_of(package: Path) -> list[Module]:
    """Return the modules of a package; links are not followed (they lead to data)."""
    found = []
    for folder, _, names in os.walk(package):
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                text = path.read_text(encoding="utf-8")
                found.append(Module(path, path.relative_to(package), text, ast.parse(text, str(path))))
    return sorted(found)


def check_files(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find files that are too long."""
    for module in modules:
        count = len(module.text.splitlines())
        if count > MAX_FILE:
            yield Fault(module.path, MAX_FILE + 1, f"expected a file of at most {MAX_FILE} lines, got: {count}")


def check_functions(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find functions that are too long."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > MAX_FUNCTION:
                    text = f"expected {node.name} to have at most {MAX_FUNCTION} lines, got: {count}"
                    yield Fault(module.path, node.lineno, text)


def check_rooms(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find rooms with too many files."""
    contents: dict[Path, set[Path]] = {}
    for module in modules:
        contents.setdefault(module.path.parent, set()).add(module.path)
        if len(module.name.parts) > 2:
            contents.setdefault(module.path.parent.parent, set()).add(module.path.parent)
    for room, files in sorted(contents.items()):
        if len(files) > MAX_ROOM:
            yield Fault(room, 1, f"expected a room of at most {MAX_ROOM} files, got: {len(files)}")


def check_probes(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find places that ask a job or a source for what it may not have."""
    for module in modules:
        is_low = len(module.name.parts) < 2 or module.name.parts[0] in LOW_ROOMS
        if is_low or module.name == Path(ADAPTER):
            continue
        lines = module.text.splitlines()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and _is_probe(node) and not _has_reason(lines, node):
                text = f"expected a type from {ADAPTER}, or `# any object: ...`, got: {ast.unparse(node)}"
                yield Fault(module.path, node.lineno, text)


def _is_probe(call: ast.Call) -> bool:
    function = call.func.id if isinstance(call.func, ast.Name) else ""
    if function != "hasattr" and not (function == "getattr" and len(call.args) > 2):
        return False
    names = [str(argument.value) for argument in call.args[1:2] if isinstance(argument, ast.Constant)]
    return not any(name.startswith("__") for name in names)


def _has_reason(lines: list[str], call: ast.Call) -> bool:
    above = lines[call.lineno - 2].strip() if call.lineno > 1 else ""
    own = lines[call.lineno - 1 : call.end_lineno]
    return any(REASON.search(line) for line in own) or bool(above.startswith("#") and REASON.search(above))


def check_any(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find whether more lines than before give up the types."""
    lines = [module.path for module in modules for line in module.text.splitlines() if ANY.search(line)]
    if len(lines) > MAX_ANY:
        package = tests.parent / "lib" / "jobcron"
        text = (
            f"expected at most {MAX_ANY} lines with the word Any in the package, got: {len(lines)}; give the types"
        )
        yield Fault(package, 1, text)


def check_tests(modules: list[Module], tests: Path) -> Iterator[Fault]:
    """Find public modules that have no test file, or one without a test."""
    for module in modules:
        if module.is_public:
            wanted = tests / module.name.parent / f"test_{module.name.name}"
            if not wanted.is_file() or not TEST.search(wanted.read_text(encoding="utf-8")):
                got = "none" if not wanted.exists() else "a file without a test"
                where = wanted.relative_to(tests.parent)
                yield Fault(module.path, 1, f"expected a public module to have tests in {where}, got: {got}")


RULES: dict[str, Callable[[list[Module], Path], Iterator[Fault]]] = {
    "files": check_files,
    "functions": check_functions,
    "rooms": check_rooms,
    "probes": check_probes,
    "any": check_any,
    "tests": check_tests,
}


def main() -> int:
    """Print the faults of a checkout, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check the rules of the layout.")
    parser.add_argument("root", nargs="?", type=Path, default=Path(), metavar="ROOT")
    parser.add_argument("--later", action="append", default=[], choices=RULES, metavar="RULE")
    options = parser.parse_args()
    modules = modules_of(options.root / "lib" / "jobcron")
    if not modules:
        parser.error(f"expected a checkout with a package in lib/jobcron, got: {options.root.resolve()}")
    is_broken = False
    for name, check in RULES.items():
        faults = sorted(check(modules, options.root / "tests"))
        if name in options.later:
            print(f"layout: the rule {name!r} is not enforced yet: {len(faults)} faults")
            continue
        is_broken |= bool(faults)
        for path, line, text in faults:
            print(f"{path.relative_to(options.root)}:{line}: {text}")
    return 1 if is_broken else 0


if __name__ == "__main__":
    sys.exit(main())
