"""Statements of ours over a plain connection; over one that is kept they are planned once in a while."""

# why: decisions 2026-12-01, a worker's question is prepared

from __future__ import annotations

import re
import time

from jobcron.database.connecting.plain import Plain
from jobcron.database.sql import driver_text, statement

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Connect = Callable[[str, str | None], Plain]

PLANNED_SECONDS = 60.0
"""How long a plan is used: one for an empty table may read all of a large one."""

SLACK_SECONDS = 2.0
"""How much longer a patient connection waits for an answer than the server may take: it may be silent."""

OFTEN = frozenset({"tick", "tick_limited"})
"""The statements that are asked again and again."""

_PARAMETER = re.compile(r"(?<!:):(\w+)")


class Asking:
    """Asks over one connection.

    Args:
        url: the database's URL.
        user: the database role; None: the URL's.
        connect: connects to be asked again and again, given the URL and the role; None: it is asked once.

    Attributes:
        connection: the connection; what is prepared belongs to it.
    """

    def __init__(self, url: str, user: str | None, connect: Connect | None = None) -> None:
        self.connection = (connect or Plain)(url, user)
        self._planned_at: dict[str, float] = {}
        self._prepares = False
        if connect is not None:
            # Behind a pooler the server's process is another one than it gave us, and may change each time.
            found = self.connection.ask("SELECT pg_catalog.pg_backend_pid()")
            self._prepares = found == (self.connection.process,)

    def fetch(self, name: str, parameters: Mapping[str, object], seconds: float) -> tuple[object, ...] | None:
        """Return the first row of a statement of `jobcron.database.sql`; None if it has none.

        Args:
            name: the statement's.
            parameters: its parameters.
            seconds: how long it may take.
        """
        # All is sent as one text, and so runs as one transaction: the limit ends with it, even behind a pooler.
        # why: decisions 2026-11-25, the tick's statement ends after ten seconds
        text = self._executing(name) if self._prepares and name in OFTEN else driver_text(name)
        text = f"SET LOCAL statement_timeout = '{seconds}s'; {text}"
        return self.connection.ask(text, parameters, seconds + SLACK_SECONDS)

    def _executing(self, name: str) -> str:
        """Return what executes a statement, and prepares it if that is due."""
        now = time.monotonic()
        planned_at = self._planned_at.get(name)
        before = ""
        if planned_at is None or now >= planned_at + PLANNED_SECONDS:
            self._planned_at[name] = now
            if planned_at is not None:
                before = f"DEALLOCATE jobcron_{name}; "
            # By itself the server would plan five times more, and compare.
            before += f"SET plan_cache_mode = force_generic_plan; {_preparing(name)}; "
        names = ", ".join(f"%({parameter})s" for parameter in _parameters(name))
        return f"{before}EXECUTE jobcron_{name}({names})"


def _preparing(name: str) -> str:
    names = _parameters(name)
    text = " ".join(statement(name, "postgresql").split())
    return f"PREPARE jobcron_{name} AS {_PARAMETER.sub(lambda found: f'${names.index(found[1]) + 1}', text)}"


def _parameters(name: str) -> list[str]:
    """Return the names of a statement's parameters, each once."""
    return [*dict.fromkeys(_PARAMETER.findall(statement(name, "postgresql")))]
