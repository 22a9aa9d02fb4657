"""What the text of a database's URL says is what SQLAlchemy and the drivers make of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from psycopg2.extensions import parse_dsn

from jobcron import ConfigurationError
from jobcron.settings.database_url import BACKENDS, backend_of, libpq_url, passwords_in, sqlite_path, with_driver
from jobcron.settings.sqlalchemy_url import parse_url


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("scheme", BACKENDS)
def test_the_database_of_each_scheme_is_the_one_that_sqlalchemy_opens(scheme: str) -> None:
    url = f"{scheme}:///name"
    assert parse_url(url).get_backend_name() == backend_of(url)
    assert parse_url(with_driver(url)) == parse_url(url)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("url", ["mysql://h/db", "", "postgresql", "postgresql+nodriver://u@h/db"])
def test_another_database_is_none_that_we_know(url: str) -> None:
    assert backend_of(url) == ""
    with pytest.raises(ConfigurationError):
        parse_url(url)


@pytest.mark.feature("LP-15")
@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/a b/x.db", "/var/lib/a b/x.db"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite:////x.db?timeout=5", None),
        ("sqlite://", None),
        ("postgresql:///x", None),
    ],
)
def test_the_file_of_an_sqlite_database(url: str, path: str | None) -> None:
    assert sqlite_path(url) == path
    if path is not None:
        assert parse_url(url).database == path


@pytest.mark.feature("LP-15")
@pytest.mark.parametrize("scheme", [scheme for scheme, backend in BACKENDS.items() if backend == "postgresql"])
def test_libpq_reads_the_same_of_each_scheme_of_postgresql(scheme: str) -> None:
    found = parse_dsn(libpq_url(f"{scheme}://me:p%40w@db:5433/app?sslmode=disable"))
    assert found == {
        "user": "me", "password": "p@w", "host": "db", "port": "5433", "dbname": "app", "sslmode": "disable",
    }  # fmt: skip


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://me:secret@db/app", "secret"),
        ("postgresql://me:se@cret@db/app", "se@cret"),
        ("postgresql://me:secret", "secret"),
        ("postgresql://db/app?password=secret&x=1", "secret"),
        ("postgresql://me@db/app", None),
        ("postgresql://db:5432/app", None),
    ],
)
def test_passwords_are_found_wherever_a_url_may_have_them(url: str, password: str | None) -> None:
    assert (password in passwords_in(url)) if password else passwords_in(url) == []


@pytest.mark.feature("LP-15")
def test_a_tick_reads_a_url_without_sqlalchemy() -> None:
    code = "import jobcron.queue.tick, jobcron.settings.instance, sys; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
