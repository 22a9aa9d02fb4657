"""What the commands that measure on both databases share: their option, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from jobcron.testing.programs import ServerNotFound
from jobcron.testing.server import ServerFailed

NAMES = ("SQLite", "PostgreSQL")


def add_only(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses one of the databases."""
    parser.add_argument("--only", choices=NAMES, help="one database")


def status_of(only: str | None, run: Callable[[str], bool]) -> int:
    """Measure on the databases, and return the exit status: 1 if one misses a bar, or there is no server.

    Args:
        only: the name of the one that was chosen; None: both.
        run: measures on the database of this name, and returns whether the bars were kept.
    """
    try:
        kept = [run(name) for name in ([only] if only else NAMES)]
    except (ServerFailed, ServerNotFound) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0 if all(kept) else 1


def tell(text: str) -> None:
    """Say what is being done, beside what is measured."""
    print(text, file=sys.stderr, flush=True)
