"""Each planted fault of an SQLite database is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from examining import found, only
from instances import Instance
from jobcron import Database
from jobcron.operations.faults.sqlite import file_system_of
from jobcron.queue.health import Health

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@on_sqlite
def test_a_journal_without_wal_and_a_network_file_system_are_found(
    well: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path.parent.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr("jobcron.operations.faults.sqlite.MOUNTS", str(mounts))
    assert file_system_of("/elsewhere/x.db") == "ext4"
    path = str(well.database.engine.url.database)
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {Path(path).resolve().parent} nfs4 rw 0 0\n")
    assert (only(well).check, only(well).health) == ("file system", Health.CRITICAL)
    monkeypatch.setattr("jobcron.operations.faults.sqlite.MOUNTS", str(tmp_path / "none"))
    well.database.close()
    with Database(well.url).engine.connect() as connection:
        connection.rollback()
        connection.connection.driver_connection.execute("PRAGMA journal_mode = delete")  # type: ignore[union-attr]
    assert {finding.check for finding in found(well)} <= {"journal"}
