"""The standard streams, and the files behind the descriptors 0 to 2.

What prints writes to these numbers, child processes too. If one is closed, the next file or connection that is
opened gets its number.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import sys
from typing import NamedTuple, TextIO

from jobcron.reports.logs import Discarded
from jobcron.runner.surroundings._item import Instead

NAMES = ("stdin", "stdout", "stderr")


class StreamState(NamedTuple):
    """The streams, which of them are closed, and the files behind the descriptors; None: closed."""

    streams: tuple[TextIO | None, ...]
    closed: list[bool]
    files: list[tuple[int, int] | None]


class StandardStreams:
    """Notes the standard streams, and puts them back; for one run, see `close`."""

    name = "standard streams"

    def __init__(self) -> None:
        self._copies: list[int | None] = [_copy(number) for number in range(3)]

    def close(self) -> None:
        """Close the copies of the descriptors."""
        for number, copy in enumerate(self._copies):
            if copy is not None:
                os.close(copy)
                self._copies[number] = None

    def read(self) -> StreamState:
        """See `Item`."""
        streams = (sys.stdin, sys.stdout, sys.stderr)
        return StreamState(streams, list(map(_is_closed, streams)), [_file(0), _file(1), _file(2)])

    def write(self, noted: StreamState, now: StreamState) -> Instead:
        """See `Item`; a stream that was closed is replaced by a new one."""
        for number, (copy, file) in enumerate(zip(self._copies, noted.files, strict=True)):
            if file == now.files[number]:
                continue
            if copy is None:
                os.close(number)  # it was closed
            elif _file(copy) == file:  # else the job closed the copy too
                os.dup2(copy, number)
        streams = list(noted.streams)
        if isinstance(sys.stderr, Discarded):
            streams[2] = sys.stderr  # the log has given up the other one, which would change the exit status
        for number, stream in enumerate(streams):
            if stream is not None and _is_closed(stream) and not noted.closed[number]:
                streams[number] = _made_anew(number, stream)
            setattr(sys, NAMES[number], streams[number])
        return Instead(noted._replace(streams=tuple(streams)))


def _copy(number: int) -> int | None:
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:  # closed, or there are too many
        return None


def _file(number: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_closed(stream: object) -> bool:
    return bool(getattr(stream, "closed", False))  # any object: whatever stands for a stream


def _made_anew(number: int, stream: TextIO) -> TextIO:
    """Return a new stream in place of a closed one, and let the log write to it."""
    original = f"__{NAMES[number]}__"
    if not isinstance(stream, io.TextIOWrapper) or stream is not vars(sys)[original]:
        return stream  # it may lead anywhere
    mode = "w" if number else "r"
    anew = io.TextIOWrapper(
        open(number, f"{mode}b", closefd=False),  # noqa: SIM115
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )
    setattr(sys, original, anew)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
            handler.stream = anew
    return anew
