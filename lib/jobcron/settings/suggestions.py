"""Suggest what somebody may have meant who misspelt a name."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return the end of a message that names the most similar name; empty if none is similar.

    Args:
        given: what was written.
        known: the names that would have been right.
    """
    from difflib import get_close_matches  # only for a mistake: a tick has none

    names = list(known)
    by_folded = {name.casefold().replace("-", "_"): name for name in names}
    found = get_close_matches(given.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.7)
    return f"; did you mean {by_folded[found[0]]}?" if found else ""
