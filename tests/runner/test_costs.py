"""What it takes to run a job of each kind: statements, messages to the server, writing transactions, bytes of WAL.

Unlike seconds, these do not depend on the machine: a figure that rises is a cost that somebody added.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sqlalchemy.engine import make_url

from costapp import AboutJob, BareJob, Three, nothing
from faulty_proxy import FaultyProxy
from instances import Instance
from jobcron.testing.server import PrivatePostgreSQL
from query_cost import noted_statements

SECTIONS = """
[bare]
source_interface: costapp.BareJob
[about]
source_interface: costapp.AboutJob
[functions]
source_interface: jobcron.functions.FunctionJob
[three]
source_interface: costapp.Three
"""

FEW, MANY = 5, 21
"""Batches of 1 and 4 jobs, and of 1, 4 and 16: the difference is one batch of 16 jobs, with its claim."""

MEASURES = 4
"""The server writes for itself too (autovacuum, a page's first change after a checkpoint), but not every time."""


class Cost(NamedTuple):
    """What a job takes."""

    statements: float
    messages: float = 0
    writes: float = 0
    wal: float = 0


# A job without work of its own is completed by one statement that commits itself and passes SQLAlchemy by, as
# claims do on PostgreSQL: what is counted as statements is its part of the claim's on SQLite. One about a row: the
# row is loaded with its batch, read again in the job's own transaction, and written. One of three tasks: for each
# BEGIN, a statement and COMMIT; what the row says of the tasks is written by the same statements.
MOST = {
    "bare": Cost(0.2, 1.2, 1.1, 750),
    "about": Cost(3.4, 5.7, 1.1, 1200),
    "functions": Cost(0.2, 1.5, 1.1, 850),
    "three": Cost(3.2, 9.5, 3.1, 2200),
}


@pytest.fixture
def costly(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose batches grow, and are looked after, in the same way on a slow machine."""
    monkeypatch.setattr("jobcron.queue.type_feed.BATCH_SECONDS", 3600.0)
    monkeypatch.setattr("jobcron.runner.job_runner.LOOK_SECONDS", 3600.0)
    instance.configure(sections=SECTIONS)
    return instance


def make(instance: Instance, kind: str, count: int) -> None:
    """Commit so many jobs of a kind."""
    with instance.session() as session:
        for _ in range(count):
            match kind:
                case "bare":
                    BareJob.create(session=session)
                case "about":
                    AboutJob.create(instance.foo(session), session=session)
                case "functions":
                    nothing.delay(session)
                case _:
                    Three.create(session=session)


def counters(instance: Instance) -> tuple[int, int]:
    """Return how many writing transactions, and bytes of WAL, the server has seen."""
    if instance.database.dialect == "sqlite":
        return 0, 0
    numbers = "SELECT pg_current_xact_id()::text::bigint, CAST(pg_current_wal_lsn() - '0/0' AS bigint)"
    ((transactions, wal),) = instance.query(numbers)
    return int(transactions), int(wal)


def cost_of_run(instance: Instance, proxy: FaultyProxy, kind: str, count: int) -> Cost:
    """Run so many jobs, and return what the whole run took."""
    make(instance, kind, count)
    transactions, wal = counters(instance)
    proxy.messages = 0
    with noted_statements() as statements:
        log = instance.run(kind)
    messages = proxy.messages
    assert f"Ran {count} " in log
    transactions_now, wal_now = counters(instance)
    return Cost(len(statements), messages, transactions_now - transactions - 1, wal_now - wal)


def of_one_job(few: Cost, many: Cost) -> Cost:
    """Return what one job of a batch takes."""
    return Cost(*((more - less) / (MANY - FEW) for less, more in zip(few, many, strict=True)))


def excess(found: Cost, kind: str) -> list[str]:
    """Name what is more than it may be."""
    return [name for name, is_now, most in zip(Cost._fields, found, MOST[kind], strict=True) if is_now > most]


@pytest.mark.parametrize("kind", MOST)
def test_a_job_takes_no_more_than_it_did(
    costly: Instance, server: PrivatePostgreSQL, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with FaultyProxy(server) as proxy:
        if costly.database.dialect == "postgresql":
            monkeypatch.setenv("JOBCRON_DATABASE_URL", proxy.url(str(make_url(costly.url).database)))
        make(costly, kind, 1)
        costly.run(kind)  # the first run makes known what later ones know
        few, many = (cost_of_run(costly, proxy, kind, count) for count in (FEW, MANY))
        for _ in range(1, MEASURES):
            if not excess(of_one_job(few, many), kind):
                break
            few = Cost(*map(min, few, cost_of_run(costly, proxy, kind, FEW)))
            many = Cost(*map(min, many, cost_of_run(costly, proxy, kind, MANY)))
    found = of_one_job(few, many)
    print(kind, found)
    assert max(found.statements, found.messages) > 0
    assert found.messages >= (costly.database.dialect == "postgresql")
    assert not excess(found, kind), found
