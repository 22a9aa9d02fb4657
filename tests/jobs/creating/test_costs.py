"""What it takes to create a job: statements, messages to the server, bytes of WAL, entries in indexes.

Unlike seconds, these do not depend on the machine: a figure that rises is a cost that somebody added.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from costapp import BareJob, Three, nothing
from faulty_proxy import FaultyProxy
from fooapp import DoFooJob, Foo
from instances import Instance
from jobcron import Database
from jobcron.testing.server import PrivatePostgreSQL
from query_cost import noted_statements

COUNT = 100

MEASURES = 4
"""The server writes for itself too (autovacuum, a page's first change after a checkpoint), but not every time."""


class Cost(NamedTuple):
    """What a job takes that is created in a transaction of its own, or with many others."""

    statements: float
    messages: float
    wal: float


# One statement, with BEGIN before it and COMMIT after it; SQLite has none for two tables. `acquire` asks besides
# whether `create` has made a job for the target.
MOST = {
    "bare": Cost(1, 3, 600),
    "family": Cost(1, 3, 800),
    "function": Cost(1, 3, 650),
    "three": Cost(1, 3, 650),
    "keyed": Cost(1, 3, 900),
    "acquired": Cost(2, 4, 900),
}

MORE_ON_SQLITE = {"family": 1, "keyed": 1, "acquired": 1}


def create(session: Session, kind: str, foo: Foo) -> None:
    """Create a job of a kind."""
    match kind:
        case "bare":
            BareJob.create(session=session)
        case "family":
            DoFooJob.create(foo)
        case "function":
            nothing.delay(session)
        case "three":
            Three.create(session=session)
        case "keyed":
            DoFooJob.create(foo, unique_key=f"key of {foo.id}")
        case _:
            DoFooJob.acquire(foo)


def cost(instance: Instance, database: Database, proxy: FaultyProxy, kind: str) -> Cost:
    """Create jobs, each about another object and in a transaction of its own; return what one took."""
    with database.session() as session:
        foos = [instance.foo(session) for _ in range(COUNT + 1)]
        session.commit()
        assert all(foo.id for foo in foos)
        create(session, kind, foos.pop())  # the first one makes known what later ones know
        session.commit()
        wal = written(instance)
        proxy.messages = 0
        with noted_statements() as noted:
            for foo in foos:
                create(session, kind, foo)
                session.commit()
        return Cost(len(noted) / COUNT, proxy.messages / COUNT, (written(instance) - wal) / COUNT)


def written(instance: Instance) -> int:
    """Return how many bytes of WAL the server has written."""
    if instance.database.dialect == "sqlite":
        return 0
    return int(instance.query("SELECT CAST(pg_current_wal_lsn() - '0/0' AS bigint)")[0][0])


@pytest.mark.parametrize("kind", MOST)
def test_a_job_that_is_created_takes_no_more_than_it_did(
    instance: Instance, server: PrivatePostgreSQL, kind: str
) -> None:
    is_sqlite = instance.database.dialect == "sqlite"
    most = MOST[kind]
    if is_sqlite:
        most = most._replace(statements=most.statements + MORE_ON_SQLITE.get(kind, 0))
    with FaultyProxy(server) as proxy:
        url = instance.url if is_sqlite else proxy.url(str(make_url(instance.url).database))
        database = Database(url)
        found = cost(instance, database, proxy, kind)
        for _ in range(1, MEASURES):
            if all(is_now <= at_most for is_now, at_most in zip(found, most, strict=True)):
                break
            found = Cost(*map(min, found, cost(instance, database, proxy, kind)))
        database.close()
    print(kind, found)
    assert found.statements >= 1
    assert all(is_now <= at_most for is_now, at_most in zip(found, most, strict=True)), (found, most)


def test_jobs_without_a_key_have_no_entry_in_the_index_of_keys(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        DoFooJob.createMultiple([foo] * 2000)
    if instance.database.dialect == "postgresql":
        pages = "SELECT pg_relation_size('jobcron_job_key') / current_setting('block_size')::int"
        assert instance.query(pages) == [(1,)]
    else:
        instance.query("ANALYZE")
        assert instance.query("SELECT stat FROM sqlite_stat1 WHERE idx = 'jobcron_job_key'") == []
