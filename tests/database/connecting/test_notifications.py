"""The database notifies workers where the configuration asks for it."""

from __future__ import annotations

from contextlib import closing
from select import select

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron.database.connecting.notifications import CHANNEL, NAME, Listener, notifies, notifies_as, set_notifies

pytestmark = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)


def hears(listener: Listener) -> bool:
    """Return whether something arrives soon, and take it."""
    found = bool(select([listener], [], [], 1)[0])
    listener.drain()
    return found


def test_creations_and_acts_are_heard_and_what_runners_do_is_not(instance: Instance) -> None:
    with instance.database.begin() as connection:
        set_notifies(connection, is_on=True)
        assert notifies(connection)
    with closing(Listener(instance.url)) as listener:
        job = instance.act(("write", "created"))
        assert hears(listener)
        instance.run("act")
        assert not hears(listener)
        instance.command("retry", str(job), "--yes")
        assert hears(listener)


def test_it_is_set_and_unset_again_and_again(instance: Instance) -> None:
    for is_on in (False, True, True, False, False):
        with instance.database.begin() as connection:
            set_notifies(connection, is_on=is_on)
            assert notifies(connection) is is_on


def test_all_that_a_transaction_does_is_told_once_and_each_transaction_by_another_text(instance: Instance) -> None:
    with instance.database.begin() as connection:
        set_notifies(connection, is_on=True)
    told: list[str] = []
    with closing(Listener(instance.url)) as listener:
        for _ in range(2):
            with instance.session() as session:
                for _ in range(3):
                    ActJob.create(instance.foo(session), metadata={}, session=session)
                    session.flush()
                session.commit()
            assert select([listener], [], [], 5)[0]
            told += listener.drain()
    assert len(told) == len({*told}) == 2
    assert all(text.isdigit() for text in told)


def test_what_an_earlier_release_has_made_is_replaced(instance: Instance) -> None:
    with instance.database.begin() as connection:
        set_notifies(connection, is_on=True)
        assert notifies_as(connection, is_on=True)
        body = f"BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END"
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
        )
        assert notifies(connection)
        assert not notifies_as(connection, is_on=True)
        set_notifies(connection, is_on=True)
        assert notifies_as(connection, is_on=True)
        assert not notifies_as(connection, is_on=False)
        set_notifies(connection, is_on=False)
        assert notifies_as(connection, is_on=False)
