"""The log of a run: loggers and handlers, which a job may change, silence or close.

`logging.config.dictConfig` closes all handlers and disables all loggers that it does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

# In C: there are hundreds of loggers in a large application, and this is done for each job.
_switches = attrgetter("disabled", "propagate")
_settings = attrgetter("level", "formatter")

_cached = attrgetter("_cache")
_SEEN = "jobcron has seen the levels of all loggers"


class _Present(NamedTuple):
    """The parts of the log's state that show a change."""

    disable: int
    raises: bool
    factory: Callable[..., logging.LogRecord]
    root_handlers: list[logging.Handler]
    switches: list[tuple[bool, bool]]
    counts: list[int]  # of handlers and filters
    settings: list[tuple[int, logging.Formatter | None]]  # of handlers


class LogState:
    """The loggers and their handlers as they were when this was made."""

    def __init__(self) -> None:
        self._root = logging.getLogger()
        self._manager = self._root.manager
        self._known = len(self._manager.loggerDict)
        made = [logger for logger in self._manager.loggerDict.values() if isinstance(logger, logging.Logger)]
        self._loggers = [self._root, *made]
        self._levels = [logger.level for logger in self._loggers]
        self._handlers = [handler for logger in self._loggers for handler in logger.handlers]
        self._handler_lists = [logger.handlers for logger in self._loggers]
        self._filter_lists = [thing.filters for thing in (*self._loggers, *self._handlers)]
        self._handlers_noted = [handlers.copy() for handlers in self._handler_lists]
        self._filters_noted = [filters.copy() for filters in self._filter_lists]
        self._present = self._read()
        self._mark_levels()

    def _read(self) -> _Present:
        return _Present(
            self._manager.disable,
            logging.raiseExceptions,
            logging.getLogRecordFactory(),
            self._root.handlers.copy(),
            list(map(_switches, self._loggers)),
            [*map(len, self._handler_lists), *map(len, self._filter_lists)],
            list(map(_settings, self._handlers)),
        )

    def _mark_levels(self) -> None:
        """Mark the levels as unchanged: `logging` clears its loggers' caches, and so the mark, on a change."""
        _cached(self._root)[_SEEN] = self

    @property
    def is_same(self) -> bool:
        """Whether the loggers and handlers are as they were."""
        return _cached(self._root).get(_SEEN) is self and self._read() == self._present

    @property
    def is_complete(self) -> bool:
        """Whether no logger has been created since."""
        return len(self._manager.loggerDict) == self._known

    def put_back(self) -> None:
        """Restore the loggers and handlers. A handler that was closed opens its file again when it next writes."""
        present = self._present
        logging.disable(present.disable)
        logging.raiseExceptions = present.raises
        logging.setLogRecordFactory(present.factory)
        for logger, level, (disabled, propagates) in zip(
            self._loggers, self._levels, present.switches, strict=True
        ):
            logger.setLevel(level)
            logger.disabled, logger.propagate = disabled, propagates
        for handler, (level, formatter) in zip(self._handlers, present.settings, strict=True):
            handler.setLevel(level)
            handler.setFormatter(formatter)
        for logger, handlers, noted in zip(self._loggers, self._handler_lists, self._handlers_noted, strict=True):
            handlers[:] = noted
            logger.handlers = handlers
        things = (*self._loggers, *self._handlers)
        for thing, filters, known in zip(things, self._filter_lists, self._filters_noted, strict=True):
            filters[:] = known
            thing.filters = filters
        self._mark_levels()
