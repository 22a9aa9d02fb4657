"""A misspelt name is answered with the one that was most likely meant."""

from __future__ import annotations

import pytest

from jobcron.settings.suggestions import suggestion

KNOWN = ["state_dir", "database_url", "do-foo", "myapp.jobs.SendMail"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("state_dri", "state_dir"),
        ("databaseurl", "database_url"),
        ("do_foo", "do-foo"),
        ("DO-FOO", "do-foo"),
        ("myapp.jobs.SendMial", "myapp.jobs.SendMail"),
    ],
)
def test_a_similar_name_is_suggested_as_it_is_written(given: str, meant: str) -> None:
    assert suggestion(given, KNOWN) == f"; did you mean {meant}?"


@pytest.mark.parametrize("given", ["colour", "", "x"])
def test_nothing_is_suggested_that_is_not_similar(given: str) -> None:
    assert suggestion(given, KNOWN) == ""
    assert suggestion(given, []) == ""
