"""Look up job classes by the names of their job types, and the names of sources.

A name read from a row is only looked up here: nothing is imported because a row says so (SECURITY.md).
`known_types` has the rows of types and sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from zope.component import getGlobalSiteManager
from zope.interface import directlyProvidedBy, providedBy
from zope.interface.interface import InterfaceClass

from jobcron.errors import ConfigurationError, DuplicateJobType, IncompleteJobType, UnknownJobType
from jobcron.interfaces import IJobSource
from jobcron.settings.durations import seconds_of
from jobcron.settings.named import dotted_name

_classes: dict[str, SourceClass] = {}

_lanes: dict[str, str] = {}
"""The names of the types of slow lanes, by those of the fast ones."""


def register(name: str, job_class: SourceClass) -> None:
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


def class_of(name: str) -> SourceClass:
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


def register_lane(slow: SourceClass, fast: object) -> None:
    """Let jobs of the class `fast` that reach their time limit go on with the class `slow`.

    Raises:
        IncompleteJobType: these two classes cannot be lanes of the same jobs.
    """
    name = dotted_name(slow)
    expected = f"expected slow_lane_of of {name} to be a job class with a job type from which it inherits"
    if not isinstance(fast, SourceClass) or fast is slow or not issubclass(slow, fast):
        raise IncompleteJobType(f"{expected}, got {dotted_name(fast) if isinstance(fast, type) else repr(fast)}")
    if slow.class_job_type is None or fast.class_job_type is None:
        lacking = slow if slow.class_job_type is None else fast
        raise IncompleteJobType(f"{expected}, {dotted_name(lacking)} has no class_job_type")
    if slow.context_class is not fast.context_class:
        raise IncompleteJobType(f"{expected}, and with the same table as {name}, got {dotted_name(fast)}")
    limits = [limit for limit in (slow.time_limit, fast.time_limit) if isinstance(limit, timedelta | int | float)]
    seconds = [seconds_of("time_limit", limit, allows_zero=False) for limit in limits]
    if fast.time_limit is None or (len(seconds) == 2 and seconds[0] <= seconds[1]):
        raise IncompleteJobType(
            f"expected {dotted_name(fast)} to have a time_limit, and its slow lane {name} to have a longer one or "
            f"none, got {fast.time_limit} and {slow.time_limit}"
        )
    known = slow_lane_of(fast.type_name)
    if known is not None and dotted_name(known) != name:
        raise IncompleteJobType(
            f"expected one slow lane of {dotted_name(fast)}, got two: {dotted_name(known)} and {name}"
        )
    _lanes[fast.type_name] = slow.type_name


def slow_lane_of(name: str) -> SourceClass | None:
    """Return the class with which jobs of a type go on that have reached their time limit; None: they fail."""
    return _classes.get(_lanes.get(name, ""))


def registered() -> dict[str, SourceClass]:
    """Return all job types of this process, with their classes."""
    return dict(_classes)


class SourceName(NamedTuple):
    """A dotted name of a source, and whether the source overrides ``iterReady``."""

    name: str
    own_iter_ready: bool


def source_interfaces(source: object) -> list[InterfaceClass]:
    """Return the interfaces that a source provides and that extend `IJobSource`: each can name it."""
    return [interface for interface in providedBy(source) if interface.extends(IJobSource)]


def address_of(source: object) -> str:
    """Return the ``module:name`` by which another process finds a source: its own, or its interface's.

    Raises:
        ConfigurationError: it is not a class, and provides no interface that extends `IJobSource`.
    """
    interfaces: Sequence[type | InterfaceClass] = (
        [source] if isinstance(source, type) else source_interfaces(source)
    )
    if not interfaces:
        raise ConfigurationError(
            f"expected the source {dotted_name(source)} to be a class, or to provide an interface under which a "
            "process of isolated jobs can find it"
        )
    found = interfaces[0]
    return f"{found.__module__}:{getattr(found, '__qualname__', None) or found.__name__}"


def names_of(source: object) -> list[str]:
    """Return every dotted name of a source: its own, and those of its interfaces."""
    return [dotted_name(source), *map(dotted_name, source_interfaces(source))]


def source_names(job_class: SourceClass) -> list[SourceName]:
    """Return every dotted name of a job class as a source."""
    return [SourceName(name, job_class.finds_ready_jobs_itself) for name in names_of(job_class)]


class SourceClass(type):
    """Registers a job class as the utility of the source interfaces that it is declared to provide (LP-07).

    ``@provider(IDoFooJobSource)`` sets ``__provides__`` once the class exists; from then on
    ``getUtility(IDoFooJobSource)`` returns the class.
    """

    # why: decisions 2026-11-22, `@provider` registers the class as utility
    class_job_type: Any = None  # for classes without a job type
    finds_ready_jobs_itself: bool
    context_class: type[object]
    type_name: str
    former_type_name: str
    has_family: bool
    time_limit: object
    job_defaults: dict[str, object]

    if TYPE_CHECKING:  # a method of the job class

        def goes_on(cls, data: Mapping[str, object], steps: Mapping[str, object] | None) -> bool: ...

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, object], **options: object) -> None:
        super().__init__(name, bases, namespace)
        if (fast := namespace.get("slow_lane_of")) is not None:
            register_lane(cls, fast)

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "__provides__" and cls.class_job_type is not None:
            for interface in directlyProvidedBy(cls):
                if interface.extends(IJobSource):
                    _provide(cls, interface)


class _Untyped(IncompleteJobType, AttributeError):
    """A class has no name of a type: to those who only look at its attributes, it lacks one."""


class TypeName:
    """The name of a class's type as long as it has none."""

    def __get__(self, job: object, owner: type[object]) -> str:
        """Say what the class lacks."""
        raise untyped(owner.__name__)


def untyped(name: str) -> IncompleteJobType:
    """Return the error for a job class without a job type."""
    return _Untyped(
        f"expected {name} to have a class_job_type, such as MyJobType.SEND_MAIL, found none: without one it is a "
        "base class, of which there are no jobs"
    )


_shared: set[InterfaceClass] = set()


def _provide(cls: type[object], interface: InterfaceClass) -> None:
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
