"""Applications that create jobs beside each other and beside a runner: no call is lost to a lock."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
from sqlalchemy import select

import creatorsapp
from creatorsapp import Base, Thing
from instances import Instance, run_jobcron

APPS = Path(creatorsapp.__file__).parent

IS_FULL = bool(os.environ.get("JOBCRON_CHAOS"))

PROCESSES, CALLS = (100, 100) if IS_FULL else (4, 15)

AT_ONCE = 4

TIME_LIMIT = 7200 if IS_FULL else 120

SECTIONS = """
[touch]
source_interface: creatorsapp.TouchJob

[functions]
source_interface: jobcron.functions.FunctionJob

[counting]
source_interface: creatorsapp.Counting
"""


@pytest.fixture
def shop(instance: Instance) -> Instance:
    """Return an instance that runs the jobs of `creatorsapp`, with three things."""
    instance.configure(sections=SECTIONS)
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("fooapp:register", "creatorsapp")
    path.write_text(text.replace("python_path: ", f"python_path: {APPS} "))
    Base.metadata.create_all(instance.database.engine)
    with instance.session() as session:
        session.add_all([Thing(), Thing(), Thing()])
    return instance


def handle_requests(kind: str, shop: Instance) -> Any:
    """Handle requests in a fresh process; return what it says of them."""
    return json.loads(run_jobcron(kind, str(CALLS), shop.url, program=APPS / "creators.py", timeout=TIME_LIMIT)[0])


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.parametrize(
    ("database_url", "kind"),
    [("sqlite", "ours"), ("sqlite", "prepared"), ("sqlite", "plain"), ("postgresql", "ours")],
    indirect=["database_url"],
)
def test_no_creator_that_reads_first_fails_beside_others_and_a_runner(shop: Instance, kind: str) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        creators = [pool.submit(handle_requests, kind, shop) for _ in range(PROCESSES)]
        while not all(creator.done() for creator in creators):
            for section in ("touch", "functions", "counting"):
                shop.command("run", "-q", section, timeout=3600)  # it ends when nothing is ready
        told = [creator.result() for creator in creators]
    assert [error for one in told for error in one["errors"]] == []
    seconds = [second for one in told for second in one["seconds"]]
    with shop.session() as session:
        assert sum(session.scalars(select(Thing.requests))) == PROCESSES * CALLS
    print(f"{len(seconds)} calls, p50 {quantiles(seconds)[1]:.3f} s, p99 {quantiles(seconds, n=100)[98]:.3f} s")
    if IS_FULL and kind != "plain":  # whose waiting is SQLite's own
        assert quantiles(seconds, n=100)[98] < 1
