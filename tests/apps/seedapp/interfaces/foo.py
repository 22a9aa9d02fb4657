"""The interface of foos."""

from __future__ import annotations

from zope.interface import Interface
from zope.schema import Int, TextLine


class IFoo(Interface):
    """A foo."""

    id = Int(title="DB ID", required=True, readonly=True)
    some_attribute = TextLine(title="What has been done to it.")
