"""Whoever only looks may look at a hot standby; a run there is refused, since it would write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import fooapp
from instances import Instance
from jobcron import Database
from jobcron.database.upgrade import upgrade_schema
from jobcron.testing.server import PrivatePostgreSQL
from standby import Standby, follow_at_once

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Instance, Instance]]:
    """Return an instance at a server, and one at its standby, which has what is committed at once."""
    with PrivatePostgreSQL(in_memory=True) as primary:
        url = primary.url("postgres")
        with closing(Database(url)) as database, database.begin() as connection:
            upgrade_schema(connection, "postgres")
            fooapp.Base.metadata.create_all(connection)
        with Standby(primary) as standby:
            follow_at_once(primary)
            found = Instance(tmp_path / "here", url), Instance(tmp_path / "there", standby.url("postgres"))
            for instance in found:
                instance.configure(sections=SECTIONS)
            yield found
            for instance in found:
                instance.database.close()


def test_commands_that_look_answer_at_a_standby_as_at_the_primary_and_a_run_is_refused(
    both: tuple[Instance, Instance],
) -> None:
    here, there = both
    done, failed = here.act(("write", "done")), here.act(("raise", "value"))
    here.command("run", "act")
    waiting = here.act(("write", "done"))
    assert there.query("SELECT pg_is_in_recovery()") == [(True,)]
    for words in ("jobs", f"job {done}", f"job {failed}", f"job {waiting}", "runs", "plan act"):
        told, _ = there.command(*words.split(), "--json")
        assert told == here.command(*words.split(), "--json")[0]
    assert f"job {waiting} runs at the next opportunity" in there.command("why", str(waiting))[0]
    assert "\tOK\t" in there.command("sections")[0]
    assert "act: last run" in there.command("check-runs", "act")[0]
    assert there.command("doctor")[0].startswith("JOBCRON ")
    _, err = there.command("run", "act", expect=1)
    assert "ERROR   no more jobs could be claimed: the database is read-only\n" in err
    assert len(here.ledger()) == 1
