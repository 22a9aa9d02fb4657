"""Database URLs in the configuration: which are taken, and as which drivers."""

from __future__ import annotations

import pytest

from configurations import GOOD, Write, refusal
from jobcron.settings.instance import load_settings


@pytest.mark.feature("LP-29")
def test_a_driver_that_we_do_not_use_is_refused(write: Write) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", "postgresql+nodriver://u@h/db"))
    message = refusal(path)
    assert f"{path}: section [jobcron], key database_url: " in message
    assert "nodriver" in message


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_the_short_names_of_postgresql_mean_psycopg2(write: Write, scheme: str) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", f"{scheme}://me:pw@db:5433/app?sslmode=disable"))
    assert load_settings(str(path)).database_url == "postgresql+psycopg2://me:pw@db:5433/app?sslmode=disable"
