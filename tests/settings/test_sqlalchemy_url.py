"""Database URLs in the configuration: which are taken, and as which drivers."""

from __future__ import annotations

import pytest

from configurations import GOOD, Write, refusal
from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import BACKENDS, as_plain, driver_of
from jobcron.settings.instance import load_settings
from jobcron.settings.sqlalchemy_url import parse_url

USUAL = ("///app", "//h/app", "//h:5432/app", "//u@h/app", "//u.v-w:p_1@h.x/a-b")
"""What follows the scheme of URLs as most people have them."""


@pytest.mark.feature("LP-29")
def test_a_driver_that_we_do_not_use_is_refused(write: Write) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", "postgresql+nodriver://u@h/db"))
    message = refusal(path)
    assert f"{path}: section [jobcron], key database_url: " in message
    assert "nodriver" in message


@pytest.mark.parametrize("url", ["sqlite://var/x.db", "sqlite://rel.db", "sqlite://me@/x.db"])
def test_a_url_of_sqlite_with_a_host_lacks_a_slash(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match="three slashes before a relative path and four before an absolute"
    ):
        parse_url(url)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_the_short_names_of_postgresql_mean_psycopg2(write: Write, scheme: str) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", f"{scheme}://me:pw@db:5433/app?sslmode=disable"))
    assert load_settings(str(path)).database_url == "postgresql+psycopg2://me:pw@db:5433/app?sslmode=disable"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("scheme", BACKENDS)
@pytest.mark.parametrize(
    "rest",
    [
        *USUAL,
        *("///dir/app.db", "////srv/x_y-z.db", "//u:p@/app", "//:5433/app", "//h:0543/app", "//h:99999/app"),
        *("//u:p%40@h/app", "//u:p/q@h/app", "//h:/app", "///a%20b.db", "///a b.db", "//U:P@H/App"),
        *("///app?sslmode=disable", "//h", "//h/", "//h1,h2/app", "//[::1]/app", "//u:a:b@h/app", "//u:p@q@h/app"),
        *("//u~v@h/app", "//u:@h/app", "//@h/app", "///ä.db", "//h/a/b"),
    ],
)
def test_a_plain_url_is_what_sqlalchemy_makes_of_it(scheme: str, rest: str) -> None:
    url = f"{scheme}:{rest}"
    plain = as_plain(url, lambda path: path)
    if rest in USUAL:
        assert plain is not None or (scheme.startswith("sqlite") and not rest.startswith("///"))
    if plain is not None:
        assert plain == parse_url(url).render_as_string(hide_password=False)


@pytest.mark.feature("LP-29")
def test_a_url_of_psycopg_3_stays_one(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:pw@h1,h2/app?sslmode=disable"
    path = write(GOOD.replace("sqlite:///foo.db", url))
    for _ in range(2):
        found = load_settings(str(path)).database_url
        assert driver_of(found) == parse_url(found).get_driver_name() == "psycopg"
        assert found.startswith("postgresql+psycopg://me:pw@")
        monkeypatch.setenv("JOBCRON_DATABASE_URL", url)
    assert driver_of("postgresql+psycopg2://h/x") == driver_of("postgresql://h/x") == "psycopg2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nonsense=1", "isolation_level, timeout, uri, got nonsense"),
        ("mode=ro", "got mode"),
        ("timeout=soon", "the option timeout of database_url can have, got: could not convert"),
        ("timeout=1&timeout=2", "the option timeout of database_url can have"),
        ("uri=nonsense", "the option uri of database_url can have"),
    ],
)
def test_an_option_of_sqlite_that_makes_no_sense_is_refused_by_name(options: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_url(f"sqlite:////srv/shop.db?{options}")
    parse_url("sqlite:///file:/srv/shop.db?uri=true&mode=rw&timeout=5")
