"""Compile each statement once for all engines of a test process: SQLAlchemy does it once for each engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from sqlalchemy import Dialect, Engine
from sqlalchemy.orm import Mapper
from sqlalchemy.util import LRUCache

from jobcron.database.connecting import engine as engines

CAPACITY = 3000


class CompiledStatements(LRUCache[Any, Any]):
    """The compiled statements of all engines that `make_engine` makes.

    A key of SQLAlchemy's begins with the engine's dialect, which each engine has to itself. Those of one driver
    and one version of the server differ only in how they look at connections.

    Attributes:
        dialects: whose statements are shared; those of others stay apart.
    """

    __slots__ = ("dialects",)

    def __init__(self) -> None:
        super().__init__(CAPACITY)
        self.dialects: WeakSet[Dialect] = WeakSet()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a compiled statement."""
        return super().get(self._common(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(self._common(key), compiled)

    def _common(self, key: Any) -> Any:
        dialect, *rest = key
        return (type(dialect), dialect.server_version_info, *rest) if dialect in self.dialects else key


def compile_once() -> CompiledStatements:
    """Let all engines that jobcron makes in this process share their compiled statements."""
    shared = CompiledStatements()
    make: Callable[..., Engine] = vars(engines)["create_engine"]

    def create_engine(*arguments: Any, **options: Any) -> Engine:
        engine = make(*arguments, **options)
        shared.dialects.add(engine.dialect)
        engine.update_execution_options(compiled_cache=shared)
        return engine

    vars(engines)["create_engine"] = create_engine
    type.__setattr__(Mapper, "_compiled_cache", shared)  # of what a flush writes
    return shared
