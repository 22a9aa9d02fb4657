"""The database notifies workers where the configuration asks for it."""

from __future__ import annotations

from contextlib import closing
from select import select

import pytest

from instances import Instance
from jobcron.database.connecting.notifications import Listener, notifies, set_notifies

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
