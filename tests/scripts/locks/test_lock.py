"""The lock of a section: one run at a time, whatever becomes of its process or its file (LP-18)."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from childapp import ChildJob
from instances import Instance, wait_until
from jobcron import DirectoryError, LockHeld
from jobcron.scripts.locks.lock import RunLock
from jobcron.settings.directories import user_named
from runner_processes import Gate, started

LOCK_SECTIONS = """
[act]
source_interface: fooapp.IActJobSource

[do_foo]
source_interface: fooapp.IDoFooJobSource

[with_child]
source_interface: childapp.ChildJob
"""


class Holder:
    """A run that holds the lock of [act] in a process of its own until it is let go."""

    def __init__(self, instance: Instance) -> None:
        self.started = instance.path / "started"
        self.go = instance.path / "go"
        self.job = instance.act(("touch", str(self.started)), ("wait_for", str(self.go)))
        self.process = instance.start("act")
        wait_until(self.started.exists, "the job to start")

    def end(self) -> str:
        """Let the job go on; return the log of its run."""
        self.go.touch()
        return self.process.communicate(timeout=30)[1]


@pytest.fixture
def holder(instance: Instance) -> Iterator[Holder]:
    """Return a run that holds the lock."""
    holder = Holder(instance)
    yield holder
    holder.process.kill()
    holder.process.wait()
    assert holder.process.stderr is not None
    holder.process.stderr.close()


def run(instance: Instance, section: str) -> tuple[int, str]:
    """Run a section in a process of its own; return status and log."""
    process = instance.start(section)
    _, log = process.communicate(timeout=60)
    return process.wait(), log


@pytest.mark.feature("LP-18")
def test_a_second_run_says_who_has_the_lock_and_leaves_with_status_3(instance: Instance, holder: Holder) -> None:
    other = instance.act(("write", "x"))
    status, log = run(instance, "act")
    assert status == 3
    (line,) = log.splitlines()
    assert "WARNING " in line  # cron mails errors: a run may last longer than cron waits
    for part in (
        str(instance.state / "locks" / "act.lock"),
        f"process {holder.process.pid}",
        socket.gethostname(),
    ):
        assert part in line
    assert "Ran 2 ActJob jobs." in holder.end()  # a lock that was refused is still held by its holder
    claimed_by = instance.row(other).claimed_by or ""
    assert re.fullmatch(rf"{socket.gethostname()}:{holder.process.pid}/[0-9a-f]{{12}}", claimed_by)
    assert run(instance, "act")[0] == 0


@pytest.mark.feature("LP-18")
def test_another_section_has_another_lock(instance: Instance, holder: Holder) -> None:
    assert run(instance, "do_foo")[0] == 0
    assert {p.name for p in (instance.state / "locks").iterdir()} == {"act.lock", "do_foo.lock"}


@pytest.mark.feature("LP-18")
def test_the_lock_goes_with_a_process_that_is_killed_and_its_file_stays(
    instance: Instance, holder: Holder
) -> None:
    path = instance.state / "locks" / "act.lock"
    before = path.stat().st_ino
    holder.process.kill()
    holder.process.wait()
    holder.go.touch()  # for the next run, which takes its job over
    assert run(instance, "act")[0] == 0
    assert path.stat().st_ino == before


@pytest.mark.feature("LP-18")
@pytest.mark.parametrize("how", ["fork", "program"])
def test_a_child_that_outlives_its_run_does_not_keep_the_lock(
    instance: Instance, tmp_path: Path, how: str
) -> None:
    instance.configure(sections=LOCK_SECTIONS)
    path = tmp_path / "child"
    with instance.session() as session:
        ChildJob.create(session=session, metadata={"path": str(path), "how": how})
    process = instance.start("with_child")
    try:
        # Not communicate(): the child holds the pipe of standard error.
        assert process.wait(timeout=30) == -signal.SIGKILL
        os.kill(int(path.read_text()), 0)  # it lives
        status, log = run(instance, "with_child")
        assert (status, "held" in log) == (0, False), log
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(path.read_text()), signal.SIGKILL)
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.feature("LP-18")
def test_a_file_left_behind_is_no_lock_and_is_used_again(tmp_path: Path) -> None:
    directory = tmp_path / "locks"
    directory.mkdir(mode=0o700)
    path = directory / "foo.lock"
    path.write_text("process 1 on elsewhere since long ago, and a very long line it was\n")
    inode = path.stat().st_ino
    lock = RunLock(str(directory), "foo")
    lock.acquire()
    assert path.stat().st_ino == inode
    assert path.read_text().startswith(f"process {os.getpid()} on {socket.gethostname()} since ")
    assert path.read_text().count("\n") == 2  # the second line says which kernel and which file it is
    assert "elsewhere" not in path.read_text()
    assert "long line" not in path.read_text()
    lock.release()
    assert path.stat().st_ino == inode


@pytest.mark.feature("LP-18")
def test_a_lock_is_taken_again_after_it_was_let_go_and_not_before(tmp_path: Path) -> None:
    first, second = RunLock(str(tmp_path), "foo"), RunLock(str(tmp_path), "foo")
    first.acquire()
    for _ in range(3):
        with pytest.raises(LockHeld, match=f"process {os.getpid()} on {socket.gethostname()} "):
            second.acquire()
    first.release()
    second.acquire()
    with pytest.raises(LockHeld):
        first.acquire()
    second.release()


@pytest.mark.feature("LP-18")
def test_letting_go_twice_does_not_let_go_of_the_next_holders_lock(tmp_path: Path) -> None:
    first, second, third = (RunLock(str(tmp_path), "foo") for _ in range(3))
    first.acquire()
    first.release()
    second.acquire()
    first.release()
    with pytest.raises(LockHeld):
        third.acquire()
    second.release()


@pytest.mark.feature("LP-18")
def test_the_lock_and_its_directory_are_for_their_user_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        lock = RunLock(str(tmp_path / "a" / "locks"), "foo")
        lock.acquire()
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(lock.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(lock.directory).st_mode) == 0o700
    lock.release()


@pytest.mark.feature("LP-18")
def test_a_file_removed_while_it_is_locked_makes_way_for_one_new_lock(tmp_path: Path) -> None:
    first, second, third = (RunLock(str(tmp_path), "foo") for _ in range(3))
    first.acquire()
    os.unlink(first.path)
    second.acquire()
    with pytest.raises(LockHeld):
        third.acquire()
    first.release()  # and with it nothing of the second one's
    assert os.path.exists(second.path)
    with pytest.raises(LockHeld):
        third.acquire()
    second.release()


@pytest.mark.feature("LP-18")
def test_a_file_removed_between_opening_and_locking_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = RunLock(str(tmp_path), "foo"), RunLock(str(tmp_path), "foo")
    flock = fcntl.flock
    removals = iter([True, True])

    def remove_and_lock(descriptor: Any, operation: int) -> None:
        if next(removals, False):
            os.unlink(first.path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    first.acquire()
    assert next(removals, None) is None
    with pytest.raises(LockHeld):
        second.acquire()
    first.release()


@pytest.mark.feature("LP-18")
@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_symbolic_link_in_place_of_the_file_is_refused(tmp_path: Path, target: str) -> None:
    victim = tmp_path / "victim"
    if target == "file":
        victim.write_text("precious")
    directory = tmp_path / "locks"
    directory.mkdir(mode=0o700)
    lock = RunLock(str(directory), "foo")
    os.symlink(victim, lock.path)
    with pytest.raises(DirectoryError) as caught:
        lock.acquire()
    assert lock.path in str(caught.value)
    assert "expected" in str(caught.value)
    assert (victim.read_text() if target == "file" else victim.exists()) == (
        "precious" if target == "file" else False
    )


@pytest.mark.feature("LP-18")
def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "foo.lock").mkdir()
    with pytest.raises(DirectoryError, match=r"foo\.lock .*Is a directory"):
        RunLock(str(tmp_path), "foo").acquire()


@pytest.mark.feature("LP-18")
@pytest.mark.parametrize("below", [False, True])
def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path, below: bool) -> None:
    (tmp_path / "locks").write_text("")
    directory = str(tmp_path / "locks" / "deeper" if below else tmp_path / "locks")
    with pytest.raises(DirectoryError) as caught:
        RunLock(directory, "foo").acquire()
    assert f"expected the lock directory {directory} to be a directory" in str(caught.value)
    assert caught.value.exit_status == 1


@pytest.mark.feature("LP-18")
def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "locks"
    directory.mkdir()
    for mode in (0o777, 0o1777):
        directory.chmod(mode)
        with pytest.raises(DirectoryError, match=f"{directory}.*chmod o-w"):
            RunLock(str(directory), "foo").acquire()
    assert list(directory.iterdir()) == []


@pytest.mark.feature("LP-18")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "locks"
    owner = 12345
    if os.geteuid() == 0:
        directory.mkdir(mode=0o700)
        os.chown(directory, owner, -1)
    else:
        directory, owner = Path("/usr"), 0  # nobody but root can give a directory away
    me, them = user_named(os.geteuid()), user_named(owner)
    with pytest.raises(DirectoryError, match=f"to the user {me}, who runs this, it belongs to the user {them}:"):
        RunLock(str(directory), "foo").acquire()


@pytest.mark.feature("LP-18")
def test_a_directory_that_cannot_be_written_is_refused() -> None:
    # Root may write everywhere, so a child that is not root tries; it cannot look below root's own folders.
    nobody = 65534
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        directory = Path(folder) / "locks"
        directory.mkdir(mode=0o500)
        if os.geteuid() == 0:
            os.chown(directory, nobody, -1)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(nobody)
                RunLock(str(directory), "foo").acquire()
            except DirectoryError as error:
                status = 0 if "to be writable, it is not" in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.feature("LP-18")
def test_a_link_of_somebody_else_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "locks"
    real.mkdir(mode=0o700)
    link.symlink_to(real)
    lock = RunLock(str(link), "foo")
    lock.acquire()  # one's own link is fine
    lock.release()
    if os.geteuid() == 0:
        os.chown(link, 12345, -1, follow_symlinks=False)
        with pytest.raises(DirectoryError, match="not to be somebody else's link"):
            RunLock(str(link), "foo").acquire()


@pytest.mark.feature("LP-18")
def test_a_script_that_ends_lets_go_even_where_it_crashed(tmp_path: Path, instance: Instance) -> None:
    instance.configure(sections="[crash]\nsource_interface: fooapp.Foo\n")
    for _ in range(2):
        status, log = run(instance, "crash")
        assert status == 2
        assert "iterReady" in log
    lock = RunLock(str(instance.state / "locks"), "crash")
    lock.acquire()
    lock.release()


WRITE = ("write", "effect")


@pytest.mark.feature("LP-18")
def test_of_two_runs_of_one_section_the_second_says_who_holds_the_lock(instance: Instance, gate: Gate) -> None:
    job = instance.act(gate.touch, gate.wait, WRITE)
    with started(instance, "act") as run:
        gate.reached()
        out, err = instance.command("run", "act", expect=3)
        assert out == ""
        assert "Traceback" not in err
        assert re.search(rf"WARNING the lock .*act\.lock is held by process {run.process.pid} on ", err)
        gate.open()
        run.end()
    assert instance.ledger() == [(job, 1, "effect")]
    instance.command("run", "act")
