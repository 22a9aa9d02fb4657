"""What `make dist` refuses: a wheel without something that it needs, or with something that is nobody's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "setup.cfg").is_file())


@pytest.fixture
def dist() -> ModuleType:
    """Return the program as a module."""
    found = importlib.util.spec_from_file_location("dist", ROOT / "tools" / "dist.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_a_wheel_with_all_that_the_checkout_has_is_in_order(dist: ModuleType) -> None:
    sources = dist.sources_of(ROOT)
    assert "jobcron/database/schema/versions/0001_jobs.py" in sources
    assert "jobcron/commands/main.py" in sources
    assert {"jobcron/web/templates/page.html", "jobcron/web/static/dashboard.css"} <= set(sources)
    assert dist.faults_of([*dist.NEEDED, *sources, "jobcron-0.1.0.dist-info/METADATA"], sources) == []


def test_what_is_missing_and_what_is_foreign_is_named(dist: ModuleType) -> None:
    names = [name for name in dist.NEEDED if name != "jobcron/py.typed"]
    assert dist.faults_of([*names, "jobcron/x.pyc", "tests/test_x.py"], ["jobcron/a.py"]) == [
        "expected jobcron/a.py in the wheel, it is not there",
        "expected jobcron/py.typed in the wheel, it is not there",
        "expected no jobcron/x.pyc in the wheel, it is there",
        "expected no tests/test_x.py in the wheel, it is there",
    ]
