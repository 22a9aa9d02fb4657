"""Finding an instance of the configuration and reading it, at the least possible cost."""

from __future__ import annotations

import os

from jobcron.errors import ConfigurationError
from jobcron.settings import CONFIGS, Settings, check_alone, read_compiled, write_compiled

CONFIG_VARIABLE = "JOBCRON_CONFIG"
DATABASE_VARIABLE = "JOBCRON_DATABASE_URL"
FILE_NAME = "jobcron.conf"


present: Settings | None = None
"""The settings of the script that runs in this process."""


def present_settings() -> Settings:
    """Return the settings of the script that runs in this process, else those of the environment's instance.

    Raises:
        ConfigurationError: see `load_settings`.
    """
    return present or load_settings()


def load_settings(config: str | None = None) -> Settings:
    """Return the settings of an instance.

    Args:
        config: a name or a path, as of ``--config``; None: that of JOBCRON_CONFIG, else the checkout's
            development instance.

    Raises:
        ConfigurationError: no such instance, something in it is wrong, or another one shares its state directory.
    """
    path = find(config)
    settings = read_compiled(path)
    if settings is None:
        from jobcron.config import read

        settings, texts = read(path)
        check_alone(settings)
        write_compiled(settings, texts)
    url = os.environ.get(DATABASE_VARIABLE)
    if url:
        settings = settings._replace(database_url=url, database_origin=DATABASE_VARIABLE)
    return settings


def find(config: str | None = None) -> str:
    """Return the path of the configuration file that `load` would read.

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
    # A name is never looked up in the working directory, where anybody may have put a folder of that name.
    folder = wanted if os.sep in wanted else os.path.join(os.path.realpath(CONFIGS), wanted)
    path = folder if os.path.isfile(folder) else os.path.join(folder, FILE_NAME)
    if not os.path.isfile(path):
        raise ConfigurationError(
            f"expected {origin} to be the path of a directory with a {FILE_NAME}, or a name in {CONFIGS}, "
            f"got {wanted!r}: {path} is not there"
        )
    return os.path.realpath(path)
