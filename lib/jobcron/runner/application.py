"""The application: the module that registers its job classes, and the home of its sources."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy.orm import Session

from jobcron.errors import ConfigurationError
from jobcron.settings.named import extend_path, find_named, import_below, import_module
from jobcron.settings.settings import Settings


class Application:
    """The application, imported.

    Args:
        around_job: called at once, so that it can register things. If it returns a context manager, it is
            called again for each job, and the result is entered around the job. None: nothing is entered.
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
    """Import the application and the packages that the configuration names, and what its sections name.

    Args:
        settings: the instance's settings; the caller has presented them (`presented`) for modules that read
            them.

    Raises:
        ConfigurationError: an import failed; see `find_named`.
    """
    application = _loaded(settings)
    for package in settings.job_packages or ():
        import_below(package, settings.place("job_packages"))
    if any(section.tasks is not None for section in settings.sections.values()):
        from jobcron.steps.definitions import define_configured

        define_configured(settings)
    if any(section.functions is not None for section in settings.sections.values()):
        from jobcron.functions.configured import register_configured

        register_configured(settings)
    return application


def is_imported(settings: Settings) -> bool:
    """Return whether the application's module is there: commands that only look go on without it."""
    return settings.application is None or settings.application.partition(":")[0] in sys.modules


def _loaded(settings: Settings) -> Application:
    extend_path(settings)
    if settings.application is None:
        return Application()
    module_name, _, callable_name = settings.application.partition(":")
    place = settings.place("application")
    if not callable_name:
        import_module(module_name, place)
        return Application()
    return Application(find_named(settings.application, place))


def session_class_of(settings: Settings) -> type[Session]:
    """Return the class of the sessions in which jobs run.

    Raises:
        ConfigurationError: a package that it needs is not installed.
    """
    if settings.transactions != "zope":
        return Session
    try:
        from jobcron.database.zope import TransactionSession
    except ImportError as error:
        raise ConfigurationError(
            f"{settings.place('transactions')}: expected the package transaction for zope, got: {error}; "
            "it comes with the extra jobcron[zope]"
        ) from error
    return TransactionSession
