"""What the operating system keeps for a process: signals, timers, directory, limits, environment and the like."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from importlib import import_module

from jobcron.runner.surroundings._item import Item

# The functions of the module `signal` make an enum of each result, which takes forty times as long.
_get_handler: Callable[[int], object] = import_module("_signal").getsignal
_mask: Callable[[int, tuple[()]], set[int]] = import_module("_signal").pthread_sigmask

_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_NUMBERS = [int(number) for number in _SIGNALS]

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)

SAME_SECONDS = 1.0
"""Two readings of a running timer that differ by less mean the same end, in seconds."""

_LIMITS = (
    resource.RLIMIT_AS,
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
)

# Both views of the environment, texts and bytes, share this. To read it by way of them takes 30 times as long.
_variables: dict[bytes, bytes] = vars(os.environb)["_data"]


def _handlers() -> list[object]:
    return list(map(_get_handler, _NUMBERS))


def _set_handlers(noted: list[object], now: list[object]) -> None:
    for number, before, after in zip(_SIGNALS, noted, now, strict=True):
        if before is not after and before is not None:  # None: it was not installed from Python
            signal.signal(number, before)  # type: ignore[arg-type]


def _blocked() -> set[int]:
    return _mask(signal.SIG_BLOCK, ())


def _set_blocked(noted: set[int], now: set[int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, noted)


class _Timers(list[tuple[float, float]]):
    """The remaining time and the interval of each timer, and when they were read."""

    def __init__(self) -> None:
        super().__init__(map(signal.getitimer, _TIMERS))
        self.read_at = time.monotonic()

    def __eq__(self, other: object) -> bool:
        """Whether each timer is as before, except for the time that has passed; one that has ended is unset."""
        if not isinstance(other, _Timers):
            return NotImplemented
        return list.__eq__(self, other) or all(self._is_same(index, other) for index in range(len(self)))

    def remaining(self, index: int, at: float) -> float:
        """Return how many seconds a timer has left at a time; 0: it has ended, or was not set."""
        seconds = self[index][0]
        return max(0.0, seconds - (at - self.read_at)) if seconds else 0.0

    def _is_same(self, index: int, other: _Timers) -> bool:
        before, after = self[index], other[index]
        if before == after:
            return True
        if before[1] or _TIMERS[index] != signal.ITIMER_REAL:  # repeated, or in another time than the clock's
            return before[1] == after[1] and bool(before[0]) == bool(after[0])
        return not after[1] and abs(self.remaining(index, other.read_at) - after[0]) < SAME_SECONDS


def _set_timers(noted: _Timers, now: _Timers) -> None:
    for index, timer in enumerate(_TIMERS):
        seconds, interval = noted[index]
        if not interval and timer == signal.ITIMER_REAL:
            seconds = noted.remaining(index, time.monotonic())
        signal.setitimer(timer, seconds, interval)


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed, or nobody may read the way to it
        return None


def _set_directory(noted: str | None, now: str | None) -> None:
    if noted is not None:
        os.chdir(noted)


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be read by writing it: meanwhile nothing is open to others
    os.umask(mask)
    return mask


def _environment() -> tuple[object, dict[bytes, bytes]]:
    return os.environ, _variables.copy()


def _set_environment(noted: tuple[object, dict[bytes, bytes]], now: tuple[object, dict[bytes, bytes]]) -> None:
    vars(os)["environ"] = noted[0]
    for name in now[1].keys() - noted[1].keys():
        del os.environb[name]
    for name, value in noted[1].items():
        if now[1].get(name) != value:
            os.environb[name] = value


def _time_zone() -> tuple[object, ...]:
    return time.tzname, time.timezone, time.altzone


def _set_time_zone(noted: object, now: object) -> None:
    time.tzset()  # after the environment, which says what it is


def _limits() -> list[tuple[int, int]]:
    return list(map(resource.getrlimit, _LIMITS))


def _set_limits(noted: list[tuple[int, int]], now: list[tuple[int, int]]) -> None:
    for limit, (soft, hard), (_, lowered) in zip(_LIMITS, noted, now, strict=True):
        try:
            resource.setrlimit(limit, (soft, hard))
        except (ValueError, OSError):  # only root may raise a hard limit
            if lowered != resource.RLIM_INFINITY:
                soft = lowered if soft == resource.RLIM_INFINITY else min(soft, lowered)
            resource.setrlimit(limit, (soft, lowered))


def _users() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def _set_users(noted: tuple[int, int], now: tuple[int, int]) -> None:
    os.seteuid(noted[0])  # first: another user may not change the group
    os.setegid(noted[1])


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set_priority(noted: int, now: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, noted)


ITEMS = (
    # Timers first: one that ends now would call a handler that is not ours, or kill the process.
    Item("timers", _Timers, _set_timers),
    Item("signal handlers", _handlers, _set_handlers),
    Item("blocked signals", _blocked, _set_blocked),
    Item("user", _users, _set_users),
    Item("working directory", _directory, _set_directory),
    Item("umask", _umask, lambda noted, now: os.umask(noted)),
    Item("environment", _environment, _set_environment),
    Item("time zone", _time_zone, _set_time_zone),
    Item("limits of resources", _limits, _set_limits),
    Item("priority", _priority, _set_priority),
)
