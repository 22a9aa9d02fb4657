"""What the interpreter and its library keep for a process: streams, hooks, filters, limits, the locale."""

from __future__ import annotations

import gc
import locale
import logging
import socket
import sys
import threading
import warnings
from typing import NamedTuple

from jobcron.runner.surroundings._item import Item, of_attributes


class _Warnings(NamedTuple):
    filters: list[object]
    show: object


def _warnings() -> _Warnings:
    return _Warnings(list(warnings.filters), warnings.showwarning)


def _set_warnings(noted: _Warnings, now: _Warnings) -> None:
    if noted.show is not now.show:
        logging.captureWarnings(False)  # else a later job that captures them would capture none
        setattr(warnings, "showwarning", noted.show)  # noqa: B010
    if noted.filters != now.filters:
        warnings.simplefilter("default", append=True)  # makes the memory of warnings that were shown void
        vars(warnings)["filters"][:] = noted.filters


def _numbers() -> tuple[int, float, int, bool]:
    return sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), gc.isenabled()


def _set_numbers(noted: tuple[int, float, int, bool], now: tuple[int, float, int, bool]) -> None:
    recursion, interval, digits, is_enabled = noted
    sys.setrecursionlimit(recursion)
    sys.setswitchinterval(interval)
    sys.set_int_max_str_digits(digits)
    if is_enabled:
        gc.enable()
    else:
        gc.disable()


def _tracing() -> tuple[object, object]:
    return sys.gettrace(), sys.getprofile()


def _set_tracing(noted: tuple[object, object], now: tuple[object, object]) -> None:
    sys.settrace(noted[0])  # type: ignore[arg-type]
    sys.setprofile(noted[1])  # type: ignore[arg-type]


def _locale() -> str:
    return locale.setlocale(locale.LC_ALL)


ITEMS = (
    of_attributes(
        "hooks of the interpreter",
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (sys, "displayhook"),
        (threading, "excepthook"),
    ),
    Item("trace and profile functions", _tracing, _set_tracing),
    Item("filters of warnings", _warnings, _set_warnings),
    Item("limits of the interpreter", _numbers, _set_numbers),
    Item("locale", _locale, lambda noted, now: locale.setlocale(locale.LC_ALL, noted)),
    Item("timeout of sockets", socket.getdefaulttimeout, lambda noted, now: socket.setdefaulttimeout(noted)),
)
