"""The application: the module that registers its job classes, and where its sources are found."""

from __future__ import annotations

import importlib
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from zope.component import queryUtility
from zope.interface.interfaces import IInterface

from jobcron import registry
from jobcron.errors import ConfigurationError
from jobcron.settings import Section, Settings


class Application(NamedTuple):
    """The application, imported.

    Attributes:
        around_job: returns a context manager that is entered around each job.
    """

    around_job: Any

    def context(self) -> AbstractContextManager[Any]:
        """Return the context manager for one job."""
        context = self.around_job() if self.around_job else None
        return context if isinstance(context, AbstractContextManager) else nullcontext()


def load_application(settings: Settings) -> Application:
    """Import the application that the configuration names.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    for folder in reversed(settings.python_path or []):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if settings.application is None:
        return Application(None)
    module_name, _, callable_name = settings.application.partition(":")
    place = f"{settings.path}: section [jobcron], key application"
    module = _import(module_name, place)
    if not callable_name:
        return Application(None)
    around_job = getattr(module, callable_name, None)
    if not callable(around_job):
        raise ConfigurationError(
            f"{place}: expected {callable_name} in {module_name} to be a callable, found none"
        )
    return Application(around_job)


def find_source(settings: Settings, section: Section) -> Any:
    """Return the source that a section names: the utility that provides an interface, or a class itself.

    Raises:
        ConfigurationError: the section names none, it cannot be imported, or nobody provides it.
    """
    place = f"{settings.path}: section [{section.name}], key source_interface"
    if section.source_interface is None:
        raise ConfigurationError(
            f"{place}: expected the dotted name of a source interface or of a job class, got nothing"
        )
    module_name, _, name = section.source_interface.rpartition(".")
    if not module_name:
        raise ConfigurationError(f"{place}: expected module.Name, got: {section.source_interface}")
    found = getattr(_import(module_name, place), name, None)
    if found is None:
        raise ConfigurationError(f"{place}: expected {name} in {module_name}, found no such name")
    return source_of(found, place, settings)


def source_of(found: Any, place: str, settings: Settings) -> Any:
    """Return the source that an interface or a class stands for.

    Args:
        found: the interface or class.
        place: where it was named, for messages.
        settings: the instance's.

    Raises:
        ConfigurationError: nobody provides the interface, or the class is no source.
    """
    if not IInterface.providedBy(found):
        if not callable(getattr(found, "iterReady", None)):
            raise ConfigurationError(
                f"{place}: expected an interface or a class with iterReady, got {registry.dotted_name(found)}"
            )
        return found
    source = queryUtility(found) or _class_that_provides(found, place)
    if source is None:
        application = settings.application or "none"
        raise ConfigurationError(
            f"{place}: expected somebody to provide {registry.dotted_name(found)}, found nobody; the job "
            f"classes are registered by the module that [jobcron] application names (now: {application})"
        )
    return source


def _class_that_provides(interface: Any, place: str) -> Any:
    classes = [c for c in registry.registered().values() if interface.providedBy(c)]
    if len(classes) > 1:
        names = ", ".join(sorted(map(registry.dotted_name, classes)))
        raise ConfigurationError(
            f"{place}: expected one source of {registry.dotted_name(interface)}, found several: {names}; "
            "register one with zope.component.provideUtility"
        )
    return classes[0] if classes else None


def _import(module_name: str, place: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{place}: expected the module {module_name} to be importable, got: {error}; is it installed, "
            "or its folder in [jobcron] python_path?"
        ) from error
