"""Find and read an instance of the configuration, as cheaply as possible."""

from __future__ import annotations

import os
from contextlib import contextmanager

from jobcron.errors import ConfigurationError
from jobcron.settings._compiled import check_alone, read_compiled, write_compiled
from jobcron.settings.database_url import with_driver
from jobcron.settings.settings import CONFIGS, Settings

CONFIG_VARIABLE = "JOBCRON_CONFIG"
DATABASE_VARIABLE = "JOBCRON_DATABASE_URL"
FILE_NAME = "jobcron.conf"

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator

_present: Settings | None = None


@contextmanager
def presented(settings: Settings) -> Iterator[None]:
    """Make `load_settings` return these settings by default inside the block: a script does this."""
    global _present
    before, _present = _present, settings
    try:
        yield
    finally:
        _present = before


def load_settings(config: str | None = None) -> Settings:
    """Return the settings of an instance.

    Args:
        config: a name or a path, as for ``--config``; None: the instance of the script that runs in this
            process, else of JOBCRON_CONFIG, else the checkout's development instance.

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
    url = os.environ.get(DATABASE_VARIABLE)
    if url:
        settings = settings._replace(database_url=with_driver(url), database_origin=DATABASE_VARIABLE)
    return settings


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
        raise ConfigurationError(
            f"expected {origin} to be the path of a directory with a {FILE_NAME}, or a name in {CONFIGS}, "
            f"got {wanted!r}: {path} is not there"
        )
    return os.path.realpath(path)
