"""The expired attributes of a row that expire while SQLAlchemy loads others of them."""

from __future__ import annotations

from collections.abc import Iterable


class ExpiredMeanwhile(set[str]):
    """The expired attributes of a row, of which SQLAlchemy may be loading some right now.

    Where an expired attribute is used between two transactions, loading it begins one. At its end SQLAlchemy
    takes no attribute to be expired: those that expired when the transaction began would be None.

    Args:
        expired: the attributes that were expired before.
        meanwhile: those that expire now, and that stay expired until they are loaded themselves.
    """

    def __init__(self, expired: Iterable[str], meanwhile: Iterable[str]) -> None:
        super().__init__(expired)
        self._meanwhile = set(meanwhile) - self

    def clear(self) -> None:
        """Take those that were expired before to be loaded; once, as a transaction begins once."""
        meanwhile, self._meanwhile = self & self._meanwhile, set()
        super().clear()
        self.update(meanwhile)

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        """Be pickled, with the row, as the set that SQLAlchemy expects."""
        return set, (list(self),)
