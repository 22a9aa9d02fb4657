"""The classes of this process by the names of their job types, and the names of sources.

A name read from a row is only looked up here: nothing is imported because a row says so (SECURITY.md).
`known_types` has the rows of types and sources.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from zope.component import getGlobalSiteManager
from zope.interface import directlyProvidedBy, providedBy

from jobcron.errors import ConfigurationError, DuplicateJobType, UnknownJobType
from jobcron.interfaces import IJobSource
from jobcron.settings.named import dotted_name

_classes: dict[str, type[Any]] = {}


def register(name: str, job_class: type[Any]) -> None:
    """Make `job_class` the class of the job type with this name.

    A class with the same dotted name replaces the earlier one: its module was reloaded.

    Raises:
        DuplicateJobType: another class has this type (LP-06).
    """
    known = _classes.get(name)
    if known is not None and dotted_name(known) != dotted_name(job_class):
        raise DuplicateJobType(
            f"expected one class for the job type {name}, got two: "
            f"{dotted_name(known)} and {dotted_name(job_class)}"
        )
    _classes[name] = job_class


def class_of(name: str) -> type[Any]:
    """Return the class of a job type.

    Raises:
        UnknownJobType: no class of this process has the type.
    """
    try:
        return _classes[name]
    except KeyError:
        raise UnknownJobType(
            f"expected a class with the job type {name}, found none in this process: is the module "
            "that defines it imported by the application?"
        ) from None


def registered() -> dict[str, type[Any]]:
    """Return all job types of this process, with their classes."""
    return dict(_classes)


class SourceName(NamedTuple):
    """A dotted name of a source, and whether the source overrides ``iterReady``."""

    name: str
    own_iter_ready: bool


def source_interfaces(source: Any) -> list[Any]:
    """Return the interfaces that a source provides and that extend `IJobSource`: each can name it."""
    return [interface for interface in providedBy(source) if interface.extends(IJobSource)]


def address_of(source: Any) -> str:
    """Return the ``module:name`` by which another process finds a source: its own, or its interface's.

    Raises:
        ConfigurationError: it is not a class, and provides no interface that extends `IJobSource`.
    """
    interfaces = [source] if isinstance(source, type) else source_interfaces(source)
    if not interfaces:
        raise ConfigurationError(
            f"expected the source {dotted_name(source)} to be a class, or to provide an interface under which a "
            "process of isolated jobs can find it"
        )
    found = interfaces[0]
    return f"{found.__module__}:{getattr(found, '__qualname__', None) or found.__name__}"


def names_of(source: Any) -> list[str]:
    """Return every dotted name of a source: its own, and those of its interfaces."""
    return [dotted_name(source), *map(dotted_name, source_interfaces(source))]


def source_names(job_class: Any) -> list[SourceName]:
    """Return every dotted name of a job class as a source."""
    return [SourceName(name, job_class.finds_ready_jobs_itself) for name in names_of(job_class)]


class SourceClass(type):
    """Registers a job class as the utility of the source interfaces that it is declared to provide (LP-07).

    ``@provider(IDoFooJobSource)`` sets ``__provides__`` once the class exists; from then on
    ``getUtility(IDoFooJobSource)`` returns the class.
    """

    # why: decisions 2026-11-22, `@provider` registers the class as utility
    class_job_type: Any = None  # for classes without a job type

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "__provides__" and cls.class_job_type is not None:
            for interface in directlyProvidedBy(cls):
                if interface.extends(IJobSource):
                    _provide(cls, interface)


_shared: set[Any] = set()


def _provide(cls: type[Any], interface: Any) -> None:
    site = getGlobalSiteManager()
    other = site.queryUtility(interface)
    if interface in _shared:
        return
    if other is None or dotted_name(other) == dotted_name(cls):
        site.registerUtility(cls, interface)
    else:
        # Several classes share the interface of their family, so it names none of them.
        _shared.add(interface)
        site.unregisterUtility(other, interface)
