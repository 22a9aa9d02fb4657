"""Under which names runs have claimed jobs, kept in the file of their section's lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobcron.scripts.locks import holders
from jobcron.scripts.locks.holders import lock_file, names_of_the_dead, new_name, read_names, write_names
from jobcron.scripts.locks.lock import RunLock


@pytest.fixture
def file(tmp_path: Path) -> int:
    """Return the open file of a lock."""
    return os.open(lock_file(str(tmp_path), "act"), os.O_RDWR | os.O_CREAT, 0o600)


def test_the_names_come_back_in_their_order_for_as_many_processes_as_a_worker_has(file: int) -> None:
    names = tuple(f"{'h' * 64}:{pid}/0123456789ab" for pid in range(4_000_000, 4_000_064))
    write_names(file, "process 1 on here since then", names)
    assert read_names(file) == names


def test_the_names_of_another_boot_or_another_file_count_for_nothing(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_names(file, "process 1", ("here:1/aa",))
    copy = tmp_path / "copy.lock"
    copy.write_bytes((tmp_path / "act.lock").read_bytes())
    assert read_names(os.open(copy, os.O_RDONLY)) == ()
    other = tmp_path / "boot"
    other.write_text("another boot\n")
    monkeypatch.setattr(holders, "BOOT_ID", str(other))
    assert read_names(file) == ()


def test_only_names_whose_process_is_not_there_are_those_of_the_dead(file: int, tmp_path: Path) -> None:
    alive, dead = new_name(), f"{os.uname().nodename}:{2**22 + 1}/aa"
    write_names(file, "process 1", (alive, dead))
    assert names_of_the_dead(str(tmp_path / "act.lock")) == (dead,)
    assert names_of_the_dead(str(tmp_path / "none.lock")) == ()


def test_the_name_of_a_process_that_died_stays_and_that_of_one_that_ended_does_not(tmp_path: Path) -> None:
    lock = RunLock(str(tmp_path), "act")
    lock.acquire()
    died, ended, left = (lock.claims() for _ in range(3))
    assert died is not None
    assert ended is not None
    lock.died(died)
    lock.ended(ended)
    assert lock.gone == (died,)
    with open(lock.path, encoding="ascii") as file:
        assert read_names(file.fileno()) == (died, left)
    lock.release()
    lock.acquire()
    assert lock.gone == (died,), "what came to its end by a release has left nothing behind"
    lock.release()


def test_a_lock_is_held_until_the_process_that_shares_it_has_closed_it_too(tmp_path: Path) -> None:
    lock, other = RunLock(str(tmp_path), "act"), RunLock(str(tmp_path), "act")
    lock.acquire()
    shared = lock.share()
    assert shared is not None
    assert not os.get_inheritable(shared)
    assert lock.descriptor is not None
    os.close(lock.descriptor)  # as the end of a killed process does
    lock.descriptor = None
    with pytest.raises(Exception, match="is held by"):
        other.acquire()
    os.close(shared)
    other.acquire()
    other.release()
