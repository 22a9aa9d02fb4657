"""Permanent imports: the garbage collector skips the objects that they create.

SQLAlchemy and an application create a hundred thousand objects that never become garbage. Python would traverse
them during the imports, later, and again at exit: a third of the time of a run with little to do.
"""

from __future__ import annotations

import gc

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import TracebackType


# why: decisions 2026-11-26, what a process imports is passed over
class ImportsForGood:
    """A context for imports that last for the life of the process; the garbage collector pauses in it.

    It pauses by its threshold. Whether it is enabled is the application's choice, perhaps made while it is
    imported.

    Args:
        is_ours: whether the process belongs to us. If not, do nothing, because present garbage would stay for
            ever too.
    """

    def __init__(self, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._thresholds = gc.get_threshold()

    def __enter__(self) -> None:
        if self._is_ours:
            gc.set_threshold(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            gc.freeze()
            if gc.get_threshold()[0] == 0:
                gc.set_threshold(*self._thresholds)
