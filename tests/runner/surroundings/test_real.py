"""Threads and waiting are the operating system's, whatever was put in their place, and whenever."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from jobcron.runner.surroundings import real

PROGRAM = """
import sys
from jobcron.runner.surroundings import real
seen = []
bell = real.Bell()
thread = real.Thread(lambda: (bell.wait(), seen.append(real.get_ident())))
thread.start()
bell.ring()
while not seen:  # without a pause: nothing but a real thread goes on beside this
    pass
one, other = real.socket_pair()
one.send(b"x")
assert thread.join(10), "it has not ended"
assert seen != [real.get_ident()], "it was no thread"
assert other.recv(1) == b"x"
assert not real.select([other], [], [], 0)[0]
assert real.copy_of(sys.modules["subprocess"]).run(["false"]).returncode == 1
print("fine")
"""

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("library", PATCHES)
def test_they_are_real_whether_all_is_patched_before_we_are_imported_or_after(library: str, order: str) -> None:
    parts = [PATCHES[library], "from jobcron.runner.surroundings import real; import subprocess"]
    lines = parts if order == "before" else parts[::-1]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join([*lines, PROGRAM])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_a_bell_that_is_rung_twice_is_heard_once() -> None:
    bell, heard = real.Bell(), threading.Event()
    bell.ring()
    bell.ring()
    bell.wait()

    def hear() -> None:
        bell.wait()
        heard.set()

    thread = real.Thread(hear)
    thread.start()
    assert not thread.join(0.05)
    assert not heard.is_set()
    bell.ring()
    assert thread.join(10)
    assert heard.is_set()


def test_a_thread_that_raised_has_ended() -> None:
    def fail() -> None:
        raise SystemExit

    thread = real.Thread(fail)
    thread.start()
    assert thread.join(10)
