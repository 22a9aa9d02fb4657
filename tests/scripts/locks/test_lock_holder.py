"""Who holds a lock is found out without taking it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobcron.scripts.locks import lock_holder as module
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.locks.lock_holder import gone_claimants, lock_holder


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
