"""Find the source that a section names."""

from __future__ import annotations

from typing import cast

from zope.component import getGlobalSiteManager, queryUtility
from zope.interface.interface import InterfaceClass
from zope.interface.interfaces import IInterface

from jobcron.errors import ConfigurationError
from jobcron.jobs import registry
from jobcron.jobs.source import BaseRunnableJobSource
from jobcron.queue.views import SourceView
from jobcron.settings.named import dotted_name, find_named
from jobcron.settings.settings import Section, Settings


def find_source(settings: Settings, section: Section) -> object:
    """Return the source that a section names: the utility that provides an interface, or a class.

    Raises:
        ConfigurationError: the section names no source, the name cannot be imported, or nothing provides it.
    """
    place = f"{settings.path}: section [{section.name}], key source_interface"
    if section.source_interface is None:
        raise ConfigurationError(
            f"{place}: expected the dotted name of a source interface or of a job class, got nothing"
        )
    found = find_named(section.source_interface, place, "an interface or a job class", lambda found: True)
    return source_of(found, place, settings)


def source_of(found: object, place: str, settings: Settings) -> object:
    """Return the source for an interface or a class.

    Args:
        found: the interface or class.
        place: where it is named, for error messages.
        settings: the instance's settings.

    Raises:
        ConfigurationError: nothing provides the interface, or the class is not a source.
    """
    if not IInterface.providedBy(found):
        if not SourceView(found).is_source:
            raise ConfigurationError(
                f"{place}: expected an interface or a class with iterReady, got {dotted_name(found)}"
            )
        if is_base(found):
            raise ConfigurationError(f"{place}: {registry.untyped(dotted_name(found))}")
        return found
    exact = getGlobalSiteManager().utilities.registered((), found, "")
    source = exact or _class_that_provides(cast("InterfaceClass", found), place) or queryUtility(found)
    if source is None:
        application = settings.application or "none"
        raise ConfigurationError(
            f"{place}: expected somebody to provide {dotted_name(found)}, found nobody; the job "
            f"classes are registered by the module that [jobcron] application names (now: {application})"
        )
    return source


def is_base(found: object) -> bool:
    """Return whether something is a job class without jobs: it has no type and finds no jobs of other classes."""
    if not (isinstance(found, type) and issubclass(found, BaseRunnableJobSource)):
        return False
    return found.class_job_type is None and not found.finds_ready_jobs_itself


def _class_that_provides(interface: InterfaceClass, place: str) -> object:
    classes = [c for c in registry.registered().values() if interface.providedBy(c)]
    if len(classes) > 1:
        names = ", ".join(sorted(map(dotted_name, classes)))
        raise ConfigurationError(
            f"{place}: expected one source of {dotted_name(interface)}, found several: {names}; "
            "register one with zope.component.provideUtility"
        )
    return classes[0] if classes else None
