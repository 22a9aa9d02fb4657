"""The application: the module that registers its job classes, and where its sources are found."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy.orm import Session
from zope.component import getGlobalSiteManager, queryUtility
from zope.interface.interfaces import IInterface

from jobcron import registry
from jobcron.errors import ConfigurationError, DuplicateJobType, IncompleteJobType
from jobcron.instance import presented
from jobcron.settings import Section, Settings


class Application:
    """The application, imported.

    Args:
        around_job: called at once, for what it registers; where it returns a context manager it is called again
            for each job, and that is entered around the job. None: nothing is around a job.
    """

    def __init__(self, around_job: Callable[[], Any] | None = None) -> None:
        self._around_job = around_job
        self._first = around_job() if around_job else None
        if not isinstance(self._first, AbstractContextManager):
            self._around_job = None

    def context(self) -> AbstractContextManager[Any]:
        """Return the context manager for one job."""
        if self._around_job is None:
            return nullcontext()
        context: AbstractContextManager[Any] = self._first or self._around_job()
        self._first = None
        return context


def load_application(settings: Settings) -> Application:
    """Import the application that the configuration names.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    with presented(settings):
        application = _loaded(settings)
        if any(section.tasks is not None for section in settings.sections.values()):
            from jobcron.steps.configured import define_configured

            define_configured(settings)
        if any(section.functions is not None for section in settings.sections.values()):
            from jobcron.functions.configured import register_configured

            register_configured(settings)
        return application


def _loaded(settings: Settings) -> Application:
    for folder in reversed(settings.python_path or []):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if settings.application is None:
        return Application()
    module_name, _, callable_name = settings.application.partition(":")
    place = f"{settings.path}: section [jobcron], key application"
    module = _import(module_name, place)
    if not callable_name:
        return Application()
    around_job = getattr(module, callable_name, None)
    if not callable(around_job):
        raise ConfigurationError(
            f"{place}: expected {callable_name} in {module_name} to be a callable, found none"
        )
    return Application(around_job)


def session_class_of(settings: Settings) -> type[Session]:
    """Return the class of the sessions in which jobs run.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    if settings.transactions != "zope":
        return Session
    try:
        from jobcron.zope_transaction import TransactionSession
    except ImportError as error:
        raise ConfigurationError(
            f"{settings.place('transactions')}: expected the package transaction for zope, got: {error}; "
            "it comes with the extra jobcron[zope]"
        ) from error
    return TransactionSession


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
    exact = getGlobalSiteManager().utilities.registered((), found, "")
    source = exact or _class_that_provides(found, place) or queryUtility(found)
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
    except (ImportError, SyntaxError, SystemExit, DuplicateJobType, IncompleteJobType) as error:
        raise ConfigurationError(
            f"{place}: expected the module {module_name} to be importable, got {type(error).__name__}: {error}"
        ) from error
