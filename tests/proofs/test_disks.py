"""Really full disks: of the state and the reports, of SQLite's file, of PostgreSQL's tables. Nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from jobcron.testing.programs import server_account
from jobcron.testing.server import PrivatePostgreSQL
from proving import IS_CHAOS, JOBS, Proof, Runs, drain, forget_state, unpublished_aside

PAGE = 4096

FREE = range(97) if IS_CHAOS else (0, 1, 2, 4, 8, 16, 32, 64)
"""How many pages are left when a run begins: the disk is full at another point of it each time."""


SHORTAGE = re.compile(r"No space left on device|disk was full")


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """Mount a file system of that size at `path`, inside the block; it takes root."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.stat()
    options = f"size={size},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True
    )
    if mounted.returncode and not os.environ.get("CI"):
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    assert mounted.returncode == 0, mounted.stderr
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def filled(disk: Path, free: int) -> Iterator[None]:
    """Leave only so many bytes free on a disk, inside the block."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * PAGE)
    os.truncate(filler, max(0, filler.stat().st_size - free))
    try:
        yield
    finally:
        filler.unlink()


def run_on_a_full_disk(proof: Proof, runs: Runs, disk: Path) -> None:
    """Run jobs with less and less room, and judge what is left each time once there is room again."""
    options = [f"--log-file=DEBUG:{proof.path / 'instance' / 'state' / 'log' / 'work.log'}"]
    statuses = set()
    proof.make(JOBS)
    runs.warm()
    for free in reversed(FREE):
        forget_state(proof)
        first, *_ = proof.make(JOBS * 4)  # enough for new pages
        before = len(runs.log())
        with filled(disk, free * PAGE):
            status = runs.run(options=options, url=proof.url)["status"]  # in a hurry
        said = runs.log()[before:]
        where = f"{free} pages were free: status {status}\n{said}"
        assert status in (0, 1), where
        assert "\nTraceback" not in said, where
        statuses.add(status)
        drain(proof, runs)
        found = unpublished_aside(proof, proof.verdict(since=first, crash_limit=10))
        assert found == [], f"{found}\n{where}"
    shortages = SHORTAGE.findall(runs.log())
    print(f"statuses {sorted(statuses)}, {len(shortages)} complaints")
    assert shortages, "the disk was never full"


@pytest.mark.feature("LP-01", "LP-18", "LP-19", "LP-25")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_full_disk_of_state_reports_and_log_costs_no_job_and_no_report(proof: Proof) -> None:
    state, reports = proof.path / "instance" / "state", proof.state / "oops"
    with small_disk(state, "256k"), small_disk(reports, "256k"), Runs(proof) as runs:
        for disk in (state, reports):
            run_on_a_full_disk(proof, runs, disk)


@pytest.mark.feature("LP-01", "LP-19")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_full_disk_of_the_sqlite_database_loses_nothing(jobcron_sqlite: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "16m"):
        shutil.copy(jobcron_sqlite.removeprefix("sqlite:///"), disk / "foo.db")
        proof = Proof(tmp_path, f"sqlite:///{disk / 'foo.db'}")
        with Runs(proof) as runs:
            run_on_a_full_disk(proof, runs, disk)
        proof.database.close()


@pytest.mark.feature("LP-01", "LP-19")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_a_full_disk_of_postgresql_s_tables_loses_nothing(
    server: PrivatePostgreSQL, jobcron_postgresql: str, tmp_path: Path
) -> None:
    disk = Path(tempfile.mkdtemp(prefix="jobcron-disk-", dir="/tmp"))  # where the server's user gets to
    account = server_account()
    if account:
        os.chown(disk, account["user"], account["group"])
    name, template = f"small_{os.getpid()}", make_url(jobcron_postgresql).database
    with small_disk(disk, "24m"):
        superuser = psycopg2.connect(server.url("postgres").replace("+psycopg2", ""))
        superuser.autocommit = True
        try:
            with superuser.cursor() as cursor:
                cursor.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {name}")
            proof = Proof(tmp_path, server.url(name))
            with Runs(proof) as runs:
                run_on_a_full_disk(proof, runs, disk)
            proof.database.close()
        finally:
            server.drop_database(name)
            with superuser.cursor() as cursor:
                cursor.execute(f"DROP TABLESPACE {name}")
            superuser.close()
    disk.rmdir()
