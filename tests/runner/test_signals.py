"""Signal handlers are taken over for a while, and given back."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from jobcron.runner.signals import SignalHandlers, if_main_thread, readable_signals


@pytest.fixture(autouse=True)
def earlier() -> Iterator[list[int]]:
    """Install a handler and a wakeup descriptor of somebody else's; return the signals that the handler got."""
    heard: list[int] = []
    reading, writing = os.pipe2(os.O_NONBLOCK)
    handler = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    wakeup = signal.set_wakeup_fd(writing)
    yield heard
    assert signal.set_wakeup_fd(wakeup) == writing, "somebody else's descriptor was not put back"
    signal.signal(signal.SIGUSR1, handler)
    os.close(reading)
    os.close(writing)


class Ear:
    """Notes the signals that it gets."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)


def test_handlers_are_put_back(earlier: list[int]) -> None:
    ear = Ear()
    with SignalHandlers({signal.SIGUSR1: ear}):
        os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert (ear.heard, earlier) == ([signal.SIGUSR1], [signal.SIGUSR1])


def test_handlers_are_put_back_after_an_error(earlier: list[int]) -> None:
    with pytest.raises(LookupError), readable_signals({signal.SIGUSR1: Ear()}):
        raise LookupError
    os.kill(os.getpid(), signal.SIGUSR1)
    assert earlier == [signal.SIGUSR1]


def test_a_signal_makes_the_descriptor_readable() -> None:
    with readable_signals({signal.SIGUSR1: Ear()}) as descriptor:
        assert select.select([descriptor], [], [], 0)[0] == []
        os.kill(os.getpid(), signal.SIGUSR1)
        assert select.select([descriptor], [], [], 10)[0] == [descriptor]
        assert os.read(descriptor, 100) == bytes([signal.SIGUSR1])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_handlers_can_be_installed_again_over_those_of_a_job(earlier: list[int]) -> None:
    ear = Ear()
    with SignalHandlers({signal.SIGUSR1: ear}) as handlers:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        handlers.install_again()
        os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert (ear.heard, earlier) == ([signal.SIGUSR1], [signal.SIGUSR1])


def test_what_is_not_installed_is_not_installed_again(earlier: list[int]) -> None:
    ear = Ear()
    handlers = SignalHandlers({signal.SIGUSR1: ear})
    handlers.install_again()
    with handlers:
        assert handlers.are_installed
    handlers.install_again()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert (handlers.are_installed, ear.heard, earlier) == (False, [], [signal.SIGUSR1])


def test_another_thread_installs_none_or_is_refused(earlier: list[int]) -> None:
    found: list[object] = []

    def work() -> None:
        with readable_signals(if_main_thread({signal.SIGUSR1: Ear()})):
            os.kill(os.getpid(), signal.SIGUSR1)
        try:
            with readable_signals({signal.SIGUSR1: Ear()}):
                found.append("installed")
        except ValueError as error:
            found.append(str(error).partition(" main thread")[0])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["signal only works in"]
    assert earlier == [signal.SIGUSR1]


def die_of_a_signal() -> None:
    """Get a signal that the parent wants to hear of itself only."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_forked_copy_hears_nothing_for_its_parent() -> None:
    ear = Ear()
    with readable_signals({signal.SIGTERM: ear}) as descriptor:
        child = multiprocessing.get_context("fork").Process(target=die_of_a_signal)
        child.start()
        child.join()
        assert select.select([descriptor], [], [], 0)[0] == []
    assert (child.exitcode, ear.heard) == (-signal.SIGTERM, [])
