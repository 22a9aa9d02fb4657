"""Finding what a configuration names as ``module:callable``."""

from __future__ import annotations

import importlib
from operator import attrgetter
from typing import Any

from jobcron.errors import ConfigurationError


def find_callable(name: str, place: str) -> Any:
    """Return a callable.

    Args:
        name: ``module:callable``.
        place: where the name stands, for messages.

    Raises:
        ConfigurationError: it is not there.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"{place}: expected the module {module_name} to be importable, got: {error}"
        ) from error
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        found = None
    if not callable(found):
        raise ConfigurationError(f"{place}: expected {attribute} in {module_name} to be a callable, found none")
    return found
