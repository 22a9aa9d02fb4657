"""Tables that are missing, too old or too new for the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from instances import Instance
from script_runs import do_foo, reconfigure, refused, untouched


def test_a_schema_that_is_missing_is_refused_with_the_way_to_make_it(instance: Instance) -> None:
    instance.query("DROP TABLE jobcron_schema_version")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    for part in ("expected jobcron's tables in the database", "found none", "jobcron upgrade"):
        assert part in message
    untouched(instance, job)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_database_is_refused_with_the_way_to_fill_it(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    reconfigure(instance, database_url=f"sqlite:///{path}")
    message = refused(instance, expect=1)
    assert str(path) in message
    assert "jobcron upgrade" in message


def test_a_schema_of_another_version_is_refused(instance: Instance) -> None:
    instance.query("UPDATE jobcron_schema_version SET version_num = '9999', oldest_code = '9999'")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    assert "9999" in message
    assert "expected jobcron's tables" in message
    untouched(instance, job)
