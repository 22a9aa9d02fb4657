"""Which tests execute which lines of a module: found by a copy of it that writes each of its lines down.

A tracer of Python's does not see the threads that the keeper starts below ``threading``, nor child processes.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

NOTE = """
def __note_line__(line, seen=set()):
    import os
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    if test and (test, line) not in seen:
        seen.add((test, line))
        file = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(file, f"{{line}} {{test}}\\n".encode())
        os.close(file)
"""
"""One write of a few bytes is whole, whichever process does it; the name of the test is inherited."""


class Watcher(ast.NodeTransformer):
    """Puts a note before each statement of each function.

    Attributes:
        statements: those that have one, by their first and last lines.
    """

    def __init__(self) -> None:
        self.statements: list[tuple[int, int]] = []
        self._depth = 0

    def visit(self, node: ast.AST) -> ast.AST:
        """Put notes into a node, if it is within a function, and into what it consists of."""
        self._depth += isinstance(node, FUNCTIONS)
        self.generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if self._depth and isinstance(statements, list):
                setattr(node, name, self._watched(statements))
        self._depth -= isinstance(node, FUNCTIONS)
        return node

    def _watched(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in statements:
            self.statements.append((statement.lineno, statement.end_lineno or statement.lineno))
            found += [*ast.parse(f"__note_line__({statement.lineno})").body, statement]
        return found


def watched(source: str, log: Path) -> tuple[str, list[tuple[int, int]]]:
    """Return a module that writes to a file which of its statements a test executes, and their lines."""
    watcher = Watcher()
    tree = ast.parse(source)
    watcher.visit(tree)
    # After the docstring and the imports from the future.
    place = next(number for number, node in enumerate(tree.body[1:], 1) if not isinstance(node, ast.ImportFrom))
    tree.body[place:place] = ast.parse(NOTE.format(log=str(log))).body
    return ast.unparse(tree), watcher.statements


class Coverage:
    """Which tests execute which statement.

    Args:
        statements: their first and last lines.
        log: what the watched module has written.
    """

    def __init__(self, statements: Sequence[tuple[int, int]], log: Path) -> None:
        self._statements = statements
        self._tests: dict[int, set[str]] = {}
        for line in log.read_text().splitlines() if log.exists() else ():
            number, _, test = line.partition(" ")
            self._tests.setdefault(int(number), set()).add(test)

    def tests_of(self, line: int) -> set[str]:
        """Return the tests that execute the innermost statement with a line, or any, if it is in no function."""
        starts = [first for first, last in self._statements if first <= line <= last]
        return self._tests.get(max(starts), set()) if starts else set().union(*self._tests.values())
