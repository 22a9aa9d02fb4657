"""Statements over a plain connection: prepared where it is kept, and is nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from fooapp import ActJob
from instances import Instance
from jobcron.database.connecting import asking
from jobcron.database.connecting.asking import Asking
from jobcron.database.connecting.plain import Plain
from jobcron.testing.server import PrivatePostgreSQL
from pooler import Pooler

pytestmark = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)

PREPARED = "SELECT string_agg(name, ' ') FROM pg_prepared_statements"

QUESTION: Mapping[str, object] = {
    "type": ActJob.type_name,
    "run_name": "act",
    "minus_activity_interval": -600.0,
    "minus_patience": 0.0,
    "gone": "",
    "section": "act",
    "channel": "",
}


def is_waiting(asked: Asking) -> bool:
    """Ask the tick's question, and return whether a job is ready."""
    row = asked.fetch("tick", QUESTION, 10.0)
    assert row is not None
    return bool(row[2])


def test_the_same_is_answered_by_a_connection_that_is_kept_and_by_one_that_is_not(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.act(("write", "first"))
    instance.run("act")
    kept, once = Asking(instance.url, None, Plain), Asking(instance.url, None)
    with closing(kept.connection), closing(once.connection):
        assert [is_waiting(kept) for _ in range(3)] == [False, False, False]
        job = instance.act(("write", "second"))
        assert (is_waiting(kept), is_waiting(once)) == (True, True)
        monkeypatch.setattr(asking, "PLANNED_SECONDS", 0.0)
        assert is_waiting(kept)
        instance.query(f"UPDATE jobcron_job SET channel = 'export' WHERE id = {job}")
        assert [is_waiting(kept), is_waiting(once)] == [False, False]
        limited = {**QUESTION, "type": kept.fetch("tick", QUESTION, 10.0)[0]}  # type: ignore[index]
        answers = [asked.fetch("tick_limited", limited, 10.0) for asked in (kept, kept, once)]
        assert answers == [(True, True)] * 3
        assert kept.connection.ask(PREPARED) == ("jobcron_tick jobcron_tick_limited",)
        assert once.connection.ask(PREPARED) == (None,)


def test_behind_a_pooler_nothing_is_prepared(instance: Instance, server: PrivatePostgreSQL) -> None:
    instance.act(("write", "something"))
    pooler = Pooler(server)
    try:
        name = str(make_url(instance.url).database)
        pooler.wait(name)
        url = make_url(pooler.url(name)).set(drivername=make_url(instance.url).drivername)
        asked = Asking(url.render_as_string(hide_password=False), None, Plain)
        with closing(asked.connection):
            assert [is_waiting(asked) for _ in range(3)] == [True, True, True]
            assert asked.connection.ask(PREPARED) == (None,)
    finally:
        pooler.close()
