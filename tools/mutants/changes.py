"""The changes of a module, as cosmic-ray makes them."""

from __future__ import annotations

import ast
import difflib
import importlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

Position = tuple[int, int]


class Change(NamedTuple):
    """A change of a module.

    Attributes:
        place: its line and column.
        kind: what is changed, as cosmic-ray calls it: its operator without the variant.
        operator: the operator.
        occurrence: which of several such changes in the module.
    """

    place: Position
    kind: str
    operator: str
    occurrence: int


def changes_of(source: str, seed: int) -> list[Change]:
    """Return one change of each kind for each place of a module, except in annotations, which nothing reads."""
    annotations = annotations_of(source)
    found: dict[tuple[Position, str], list[Change]] = {}
    for change in _all_changes(source):
        if not any(begin <= change.place < end for begin, end in annotations):
            found.setdefault((change.place, change.kind), []).append(change)
    choice = random.Random(seed)
    chosen = [choice.choice(found[key]) for key in sorted(found)]
    return [change for change in chosen if _is_python(changed(source, change))]


def _is_python(source: str) -> bool:
    """Return whether a changed module is one: the ``*`` of a signature may have become ``%``."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _all_changes(source: str) -> Iterator[Change]:
    plugins: Any = importlib.import_module("cosmic_ray.plugins")
    trees: Any = importlib.import_module("cosmic_ray.ast")
    nodes = list(trees.ast_nodes(trees.get_ast(source)))
    for name in plugins.operator_names():
        operator = plugins.get_operator(name)
        if operator.arguments():
            continue
        positions = (position for node in nodes for position in operator().mutation_positions(node))
        for occurrence, (place, _) in enumerate(positions):
            yield Change(place, name.partition("_")[0], name, occurrence)


def changed(source: str, change: Change) -> str:
    """Return a module with a change."""
    plugins: Any = importlib.import_module("cosmic_ray.plugins")
    mutating: Any = importlib.import_module("cosmic_ray.mutating")
    operator = plugins.get_operator(change.operator)()
    return str(mutating.mutate_code(source, operator, change.occurrence))


def annotations_of(source: str) -> list[tuple[Position, Position]]:
    """Return where a module has annotations: the first and the last position of each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                found.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return found


def changed_lines(before: str, after: str) -> str:
    """Return the lines that differ: as they were, and as they are."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return "\n".join(line for line in lines if not line.startswith("@@"))
