"""A connection that is asked for its patience while it waits for the server."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import psycopg2
import pytest

from instances import Instance
from jobcron.database.connecting.patient import Patient
from jobcron.database.connecting.plain import errors_of
from jobcron.settings.database_url import libpq_url
from mute_server import MuteServer

pytestmark = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)


def test_it_returns_the_first_row_and_tells_what_is_wrong(instance: Instance) -> None:
    with closing(Patient(instance.url, None, lambda: True)) as connection:
        assert connection.ask("SET LOCAL statement_timeout = '9s'; SELECT %(a)s, 2", {"a": 1}, 10) == (1, 2)
        assert connection.ask("SET application_name = 'a'", None, 10) is None
        with pytest.raises(errors_of(instance.url), match="division by zero"):
            connection.ask("SELECT 1 / 0", None, 10)
        assert connection.ask("SHOW statement_timeout", None, 10) == ("0",), "each is a transaction"
        assert not connection.is_closed


def test_it_waits_as_long_as_the_user_wants_and_no_longer_than_it_was_told(instance: Instance) -> None:
    connection = Patient(instance.url, None, lambda: True)
    began = time.monotonic()
    with pytest.raises(errors_of(instance.url), match=r"has not answered for 0\.7 s"):
        connection.ask("SELECT pg_sleep(60)", None, 0.7)
    assert time.monotonic() - began < 20
    assert connection.is_closed
    if "+psycopg:" not in instance.url:  # which connects by itself
        with pytest.raises(errors_of(instance.url), match="nobody waits any more"):
            Patient(instance.url, None, lambda: False)
    with MuteServer() as server:
        connection = Patient(server.url_like(instance.url), None, lambda: not server.statements)
        with pytest.raises(errors_of(instance.url), match="nobody waits any more"):
            connection.ask("SELECT 1", None, 60)


def test_a_server_that_is_silent_or_away_does_not_hide_the_next_one_of_the_url(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        arguments = psycopg2.extensions.parse_dsn(libpq_url(instance.url))
        hosts = f"127.0.0.1,127.0.0.1,{arguments['host']}"
        ports = f"1,{silent.getsockname()[1]},{arguments.get('port', 5432)}"
        place = f"{arguments['user']}@/{arguments['dbname']}"
        scheme = instance.url.partition(":")[0]
        url = f"{scheme}://{place}?host={hosts}&port={ports}&connect_timeout=2"
        with closing(Patient(url, None, lambda: True)) as connection:
            assert connection.ask("SELECT 1", None, 10) == (1,)
    with pytest.raises(errors_of(instance.url)):
        Patient(
            f"{instance.url.partition(':')[0]}://nobody@/none?host=127.0.0.1,127.0.0.1&port=1,2,3",
            None,
            lambda: True,
        )
