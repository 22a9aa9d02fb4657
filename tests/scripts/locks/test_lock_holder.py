"""Who holds a lock is found out without taking it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from hosts import hold_elsewhere
from instances import Instance
from jobcron.scripts.locks import lock_holder as module
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.locks.lock_holder import cluster_holder, gone_claimants, lock_holder


def test_the_holder_of_a_lock_is_named_and_the_lock_stays_as_it_is(tmp_path: Path) -> None:
    directory = str(tmp_path / "lock")
    assert lock_holder(directory, "act") is None
    lock = RunLock(directory, "act")
    lock.acquire()
    other = RunLock(directory, "other")
    other.acquire()
    other.release()
    holder = lock_holder(directory, "act")
    assert holder is not None
    assert holder.pid == os.getpid()
    assert str(holder).startswith(f"process {os.getpid()} on {os.uname().nodename} since ")
    assert lock_holder(directory, "other") is None
    lock.release()
    assert lock_holder(directory, "act") is None
    lock.acquire()  # nobody but us has it
    lock.release()


def test_a_holder_that_has_not_said_who_it_is_is_named_by_its_process(tmp_path: Path) -> None:
    lock = RunLock(str(tmp_path / "lock"), "act")
    lock.acquire()
    Path(lock.path).write_text("")
    assert str(lock_holder(lock.directory, "act")) == f"process {os.getpid()}"
    lock.release()


def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = RunLock(str(tmp_path / "lock"), "act")
    lock.acquire()
    monkeypatch.setattr(module, "LOCKS", str(tmp_path / "none"))
    assert lock_holder(lock.directory, "act") is None
    lock.release()


def test_claimants_of_a_lock_whose_processes_are_gone_are_named(tmp_path: Path) -> None:
    directory = str(tmp_path / "lock")
    assert gone_claimants(directory, "act") == ()
    lock = RunLock(directory, "act")
    lock.acquire()
    name = lock.claims()
    assert gone_claimants(directory, "act") == ()  # this process lives
    path = Path(lock.path)
    path.write_text(path.read_text().replace(f":{os.getpid()}/", ":4194999/"))
    (found,) = gone_claimants(directory, "act")
    assert found == str(name).replace(f":{os.getpid()}/", ":4194999/")
    lock.release()


def test_the_holder_of_a_lock_in_the_database_is_told_with_its_lease(instance: Instance) -> None:
    with instance.database.begin() as connection:
        assert cluster_holder(connection, "act") is None
    hold_elsewhere(instance)
    with instance.database.begin() as connection:
        holder = cluster_holder(connection, "act")
    assert holder is not None
    assert abs(holder.since - time.time()) < 60
    told = (
        r"the lock of section act in the database is held by process 4711 on far since \S+Z; its lease lasts \d+ s"
    )
    assert re.match(told, holder.describe())


def test_a_lock_whose_lease_has_ended_is_there_for_the_next_run(instance: Instance) -> None:
    hold_elsewhere(instance, ago=100)
    with instance.database.begin() as connection:
        holder = cluster_holder(connection, "act")
    assert holder is not None
    assert holder.seconds_left < 0
    assert re.search(r"its lease ended \d+ s ago, so the next run takes it$", holder.describe())
