"""The table of foos, and the application's session, which ``transaction.commit()`` commits."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from zope.interface import implementer

from seedapp.interfaces.foo import IFoo


class Base(DeclarativeBase):
    """The application's own metadata."""


@implementer(IFoo)
class Foo(Base):
    """A foo."""

    __tablename__ = "seed_foo"

    id: Mapped[int] = mapped_column(primary_key=True)
    some_attribute: Mapped[str] = mapped_column(default="plain")
