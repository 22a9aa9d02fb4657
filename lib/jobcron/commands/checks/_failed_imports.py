"""Import no module again whose import has failed: what it did until then, such as a table, is there already.

Its second import would fail by that, and tell of a mistake that there is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jobcron.database.trouble import causes_of


@contextmanager
def kept_away(failed: set[str]) -> Iterator[None]:
    """Let the import of these modules fail at once, inside the block."""
    sys.modules.update(dict.fromkeys(failed))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in failed:
            if sys.modules.get(name, sys) is None:
                del sys.modules[name]


def left_unfinished(error: BaseException) -> Iterator[str]:
    """Yield the modules whose own code an error has ended."""
    for link in causes_of(error):
        trace = link.__traceback__
        while trace is not None:
            name: str = trace.tb_frame.f_globals.get("__name__", "__main__")
            if trace.tb_frame.f_code.co_name == "<module>" and name not in sys.modules:
                yield name
            trace = trace.tb_next


def kept_away_from(error: BaseException) -> str | None:
    """Return the module that `kept_away` did not let somebody import; None: the error is another one."""
    for link in causes_of(error):
        if isinstance(link, ModuleNotFoundError) and sys.modules.get(link.name or "", sys) is None:
            return link.name
    return None
