"""What the text of a database's URL says is what SQLAlchemy and the drivers make of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from psycopg2.extensions import parse_dsn

from jobcron import ConfigurationError
from jobcron.settings.database_url import (
    BACKENDS,
    backend_of,
    libpq_url,
    names_object,
    passwords_in,
    sqlite_path,
    with_driver,
    with_hosts_as_parameters,
)
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


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("shop.place:URL", True),
        ("shop:make.url", True),
        ("sqlite:///x.db", False),
        ("postgresql:app", False),
        ("shop.place", False),
        ("shop.place:", False),
        ("shop place:URL", False),
    ],
)
def test_a_name_of_the_application_s_is_told_from_a_url(text: str, is_name: bool) -> None:
    assert names_object(text) is is_name


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
        ("amqp://me:first@a//;amqp://me:secret@b//", "secret"),
        ("redis://me:sec;ret@a/0;redis://b/0", "sec;ret"),
        ("rediss://a/0?ssl_keyfile_password=secret&x=1", "secret"),
        ("postgresql://me@db/app", None),
        ("redis://a/0;redis://b:6379/0", None),
        ("postgresql://db:5432/app", None),
    ],
)
def test_passwords_are_found_wherever_a_url_may_have_them(url: str, password: str | None) -> None:
    assert (password in passwords_in(url)) if password else passwords_in(url) == []


@pytest.mark.feature("LP-15")
def test_a_tick_reads_a_url_without_sqlalchemy() -> None:
    code = "import jobcron.queue.tick, jobcron.settings.instance, sys; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("url", "host", "port", "rest"),
    [
        ("postgresql://me:p%40w@h1:5432,h2:5433/db?sslmode=disable", "h1,h2", "5432,5433", {"password": "p@w"}),
        ("postgres://me@h1,h2,h3/db?target_session_attrs=read-write", "h1,h2,h3", "", {}),
        ("postgresql+psycopg2://h1:5432,h2/db", "h1,h2", "5432", {}),
        ("postgresql://me@[::1]:5432,[fe80::2]:5433/db", "::1,fe80::2", "5432,5433", {}),
        ("postgresql://%2Frun%2Fpg,h2/db?application_name=a,b", "/run/pg,h2", "", {"application_name": "a,b"}),
        ("postgresql://me@/db?host=h1,h2&port=5432,5433", "h1,h2", "5432,5433", {}),
    ],
)
def test_several_hosts_are_the_same_to_libpq_and_to_sqlalchemy(
    url: str, host: str, port: str, rest: dict[str, str]
) -> None:
    with_libpq = parse_dsn(libpq_url(with_driver(url)))
    parsed = parse_url(url)
    assert parse_url(with_driver(url)) == parsed
    (_, with_sqlalchemy) = parsed.get_dialect()().create_connect_args(parsed)
    for found in (with_libpq, with_sqlalchemy):
        assert found["host"] == host
        assert (found.get("port") or "").strip(",") == port  # empty: the default
        assert found["dbname"] == "db"
        assert found.items() >= rest.items()
    assert parse_url(url, "another").query["host"] == host


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:a,b@h/db", "postgresql://h/a,b", "postgresql://h/db?options=a,b", "sqlite:////a,b/c,d",
        "sqlite://a,b/c", "mysql://h1,h2/db", "postgresql://me@h1:x,h2/db",
    ],
)  # fmt: skip
def test_a_comma_elsewhere_makes_no_hosts(url: str) -> None:
    assert with_hosts_as_parameters(url) == url


@pytest.mark.feature("LP-29")
def test_hosts_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected database_url to be a URL"):
        parse_url("postgresql://me@h1:x,h2:5433/db")
