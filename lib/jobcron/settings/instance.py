"""Find and read an instance of the configuration, as cheaply as possible."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar

from jobcron.errors import ConfigurationError, UserMistake
from jobcron.settings._compiled import check_alone, read_compiled, write_compiled
from jobcron.settings.database_url import (
    BROKER_EXPECTED,
    SQLITE,
    backend_of,
    is_broker,
    names_object,
    with_driver,
)
from jobcron.settings.settings import CONFIGS, Settings

CONFIG_VARIABLE = "JOBCRON_CONFIG"
DATABASE_VARIABLE = "JOBCRON_DATABASE_URL"
BROKER_VARIABLE = "JOBCRON_CELERY_BROKER_URL"
FILE_NAME = "jobcron.conf"

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator

_present: Settings | None = None
_asking = ContextVar("asking", default=False)
"""Whether the application is being asked for its URL, in this thread."""


@contextmanager
def presented(settings: Settings) -> Iterator[None]:
    """Make `load_settings` return these settings by default inside the block; scripts use this."""
    global _present
    before, _present = _present, settings
    try:
        yield
    finally:
        _present = before


def present_settings() -> Settings | None:
    """Return the settings of the script that runs in this process; None: none does."""
    return _present


def load_settings(config: str | None = None, *, asks_application: bool = True) -> Settings:
    """Return the settings of an instance.

    Args:
        config: a name or a path, as for ``--config``. None: the instance of the script that runs in this
            process, else of JOBCRON_CONFIG, else the checkout's development instance.
        asks_application: whether to import the application for a database URL that is given as a name in it. False
            leaves the name as it is: a process that reads the settings of several instances needs this, because
            their modules may have the same names.

    Raises:
        ConfigurationError: there is no such instance, it has a mistake, or another shares its state directory.
    """
    if config is None and _present is not None:
        return _present
    path = find(config)
    settings = read_compiled(path)
    if settings is None:
        from jobcron.settings.reading import read

        settings, texts = read(path)
        check_alone(settings)
        write_compiled(settings, texts)
    if broker := os.environ.get(BROKER_VARIABLE):
        settings = settings._replace(celery_broker_url=_broker_in(broker))
    url = os.environ.get(DATABASE_VARIABLE)
    if url:
        return settings._replace(database_url=with_driver(url), database_origin=DATABASE_VARIABLE)
    if asks_application and names_object(settings.database_url):
        return _with_url_of_application(settings)
    return settings


def _broker_in(text: str) -> str:
    """Return the broker's URL that the environment has, checked as the key ``celery_broker_url`` is."""
    if not is_broker(text):
        from jobcron.settings.secrets import Redactor

        raise ConfigurationError(
            f"expected {BROKER_VARIABLE} to be {BROKER_EXPECTED}, got: {Redactor().text(text)}"
        )
    return text


def _with_url_of_application(settings: Settings) -> Settings:
    """Return the settings with the URL that the application has under the name in ``database_url``.

    It is asked each time: what was kept could be that of another database.

    Raises:
        ConfigurationError: there is no such name, asking for it failed, or it is not the URL of a database that
            every process finds.
    """
    from jobcron.settings.named import extend_path, find_named, line_of
    from jobcron.settings.secrets import Redactor

    name, place = settings.database_url, settings.place("database_url")
    if _asking.get():
        raise ConfigurationError(
            f"{place}: expected {name} not to need jobcron's settings, it reads them while it is asked for the URL"
        )
    token = _asking.set(True)
    try:
        extend_path(settings)
        found = find_named(name, place, "a URL", lambda found: True)
        if callable(found):
            found = found()
    except UserMistake:
        raise
    except Exception as error:  # without a database there is nobody to report it to
        text = f"{type(error).__name__}: {Redactor().text(str(error))}".rstrip(": ")
        raise ConfigurationError(f"{place}: expected {name} to be a URL, got {text}{line_of(error)}") from error
    finally:
        _asking.reset(token)
    return settings._replace(database_url=_url_in(found, f"{place}: expected {name}"), database_origin=place)


def _url_in(found: object, expected: str) -> str:
    """Return the URL that an application handed over, as a text."""
    if not isinstance(found, str):  # most likely SQLAlchemy's; then its import costs nothing more
        from jobcron.settings.sqlalchemy_url import url_text

        text = url_text(found)
        if text is None:
            kind = f"{type(found).__module__}.{type(found).__qualname__}"
            raise ConfigurationError(f"{expected} to be a URL, as a text or SQLAlchemy's, got an object of {kind}")
        found = text
    backend = backend_of(found)
    if not backend:
        scheme, colon, _ = found.partition("://")
        got = repr(scheme) if colon else "something that cannot be read as a URL"
        raise ConfigurationError(f"{expected} to be a URL of sqlite or postgresql, got {got}")
    if backend == SQLITE and not found.partition(":///")[2].startswith("/"):
        raise ConfigurationError(f"{expected} to be a URL with the absolute path of SQLite's file, got {found}")
    return with_driver(found)


def find(config: str | None = None) -> str:
    """Return the path of the configuration file that `load_settings` would read.

    Raises:
        ConfigurationError: there is none.
    """
    wanted, origin = config, "--config"
    if not wanted:
        wanted, origin = os.environ.get(CONFIG_VARIABLE), CONFIG_VARIABLE
    if not wanted:
        if not os.path.islink(CONFIGS):  # a wheel's configs/ is a folder; a checkout's is a link
            raise ConfigurationError(
                f"expected {CONFIG_VARIABLE} or --config to name the directory of a {FILE_NAME}, neither is set"
            )
        wanted, origin = "development", "the checkout's default"
    # A name is never looked up in the working directory: anybody may have put a folder of that name there.
    # why: decisions 2026-11-22, a name of an instance
    folder = wanted if os.sep in wanted else os.path.join(os.path.realpath(CONFIGS), wanted)
    path = folder if os.path.isfile(folder) else os.path.join(folder, FILE_NAME)
    if not os.path.isfile(path):
        is_here = os.sep not in wanted and os.path.exists(wanted)
        hint = f"; for what is in the working directory write {os.path.join(os.curdir, wanted)}" if is_here else ""
        raise ConfigurationError(
            f"expected {origin} to be the path of a directory with a {FILE_NAME}, or a name in {CONFIGS}, "
            f"got {wanted!r}: {path} is not there{hint}"
        )
    return os.path.realpath(path)
