"""What the code must not have, whatever it does: programs in data, shells, SQL made of values."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select

import fooapp
import jobcron
from instances import Instance
from jobcron import InvalidJobData, Job, JobStatus
from jobcron.jobs.arguments.encoding import as_reference

PACKAGE = Path(jobcron.__file__).parent

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "shelve", "yaml", "jsonpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "marshal.load", "marshal.loads"}

IMPORTS_BY_NAME = {
    # Each takes the name from the configuration, from the parent's order, or from this package itself.
    "__init__.py",
    "commands/main.py",
    "runner/surroundings/real.py",  # some modules of the standard library, by literals
    "settings/named.py",
    "testing/__init__.py",
}

HOSTILE = [
    "'; DROP TABLE jobcron_job; --",
    '"; DELETE FROM foo; --',
    "%s %(x)s :name ? $1",
    "\\'",
    "x" * 5000,
    "é\u2028",
]


def trees() -> Iterator[tuple[str, ast.AST]]:
    """Yield each module of the package, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of a module with the names that are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_is_loaded_that_may_be_a_program() -> None:
    found = []
    for name, tree in trees():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(name, module) for module in names if module.split(".")[0] in FORBIDDEN_MODULES]
        found += [(name, called) for called, _ in calls(tree) if called in FORBIDDEN_CALLS]
    assert found == []


def test_no_process_is_started_through_a_shell() -> None:
    found = [
        (name, called)
        for name, tree in trees()
        for called, call in calls(tree)
        for keyword in call.keywords
        if keyword.arg == "shell"
    ]
    assert found == []


def test_modules_are_imported_by_name_in_few_places_and_never_because_a_row_says_so() -> None:
    found = {
        name
        for name, tree in trees()
        for called, _ in calls(tree)
        if called in ("importlib.import_module", "__import__")
    }
    assert found == IMPORTS_BY_NAME


def test_a_name_in_a_row_is_looked_up_without_running_any_code(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    class Lazy:
        @property
        def danger(self) -> object:
            ran.append("a property")
            return Job

        @property  # type: ignore[misc]
        def __class__(self) -> type:
            ran.append("the class, by isinstance")
            return type

    module: Any = ModuleType("lazyapp")
    module.__getattr__ = ran.append
    module.lazy = Lazy()
    monkeypatch.setitem(sys.modules, "lazyapp", module)
    before = set(sys.modules)
    for name in ("lazyapp.anything.x", "lazyapp.lazy", "lazyapp.lazy.danger", "jobcron.runner.isolated.runner.X"):
        with pytest.raises(InvalidJobData, match="to be imported by the application"):
            as_reference([name, [1]])
    assert ran == []
    assert set(sys.modules) == before
    assert as_reference(["jobcron.jobs.job.Job", [1]]).mapped is Job


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_a_value_wherever_it_is_given(instance: Instance, text: str) -> None:
    with instance.session() as session:
        foo = instance.foo(session, name=text)
        for make in (fooapp.ActJob.create, fooapp.ActJob.acquire):
            made: Any = make(
                foo,
                session=session,
                metadata={"do": [["write", text]], text: text},
                description=text,
                requester=text,
                unique_key=f"{make.__name__}{text}"[:2000],
                queue_name=text[:2000],
            )
            assert fooapp.ActJob.get(made.id, session=session).description == text
    instance.run("act")
    rows = instance.rows()
    assert [row.status for row in rows] == [JobStatus.COMPLETED] * 2
    assert {row.requester for row in rows} == {text}
    assert [note for *_, note in instance.ledger()] == [text] * 2
    with instance.session() as session:
        assert len(list(session.scalars(select(Job).where(Job.queue_name == text[:2000])))) == 2


@pytest.mark.parametrize(
    "data",
    [
        {"x": "a" * (1 << 20)},
        {"x": object()},
        {1: "x"},
        {"x": float("nan")},
        {"x": "\0"},
        {"x": "\ud800"},
        [1],
    ],
    ids=["too large", "no JSON", "a key that is no text", "no number", "NUL", "half a character", "no object"],
)
def test_data_that_is_no_bounded_json_is_refused_and_nothing_is_made(instance: Instance, data: Any) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        with pytest.raises(InvalidJobData):
            fooapp.ActJob.create(foo, session=session, metadata=data)
    assert instance.rows() == []


def test_data_that_is_too_deep_is_refused(instance: Instance) -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    with instance.session() as session, pytest.raises(InvalidJobData, match="at most 32 levels deep"):
        fooapp.ActJob.create(instance.foo(session), session=session, metadata={"x": deep})
