"""Imports that a process keeps: the search for garbage passes over what they make.

SQLAlchemy and an application are a hundred thousand objects, none of which is ever garbage. Python looks through
them while they come, later, and once more when the process ends: a third of the time of a run with little to do.
"""

from __future__ import annotations

import gc

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import TracebackType


class ImportsForGood:
    """A context in which things are imported for the life of the process; the search for garbage rests in it.

    It rests by its threshold: whether it is enabled is for the application to say, perhaps while it is imported.

    Args:
        is_ours: whether the process is; in another's nothing happens, for what is garbage by then stays as well.
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
