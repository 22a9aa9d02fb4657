"""Look things up by their dotted names: the one place where a module of the user's is imported by name."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import ModuleType
from typing import Any

from jobcron.errors import ConfigurationError, DuplicateJobType, IncompleteJobType, UserMistake
from jobcron.settings.settings import PACKAGE

_MISTAKES = (ImportError, SyntaxError, SystemExit, DuplicateJobType, IncompleteJobType)
"""What a module raises that cannot be imported as it is: a message is enough. Other errors make a report."""


def find_named(
    name: str, place: str, expected: str = "a callable", accepts: Callable[[Any], bool] = callable
) -> Any:
    """Return what a dotted name stands for.

    Args:
        name: ``module:name`` or ``module.name``; the name may be that of an attribute (``module:Class.method``).
        place: the file, section and key that ask for it, for messages.
        expected: what it has to be, for messages.
        accepts: returns whether it is that.

    Raises:
        ConfigurationError: there is no such module, it fails when it is imported, it has no such name, or what it
            has is something else; the message says which.
        Exception: what else the module raises when it is imported; a note on the error names `place`.
    """
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if not module_name or not attribute:
        raise ConfigurationError(
            f"{place}: expected the dotted name (module.name or module:name) of {expected}, got: {name}"
        )
    module = _module(module_name, place)
    if isinstance(module, ModuleNotFoundError):
        parent, _, class_name = module_name.rpartition(".")
        known = sys.modules.get(parent)  # imported on the way; the module may end before the class
        if ":" in name or known is None or class_name not in vars(known):
            raise _no_module(module_name, place, module) from module
        module, module_name, attribute = known, parent, f"{class_name}.{attribute}"
    wanted = f"{place}: expected {attribute} in {module_name} to be {expected}"
    with _explained(module_name, place):  # a module may import late what it is asked for
        try:
            found = attrgetter(attribute)(module)
        except AttributeError as error:
            raise ConfigurationError(f"{wanted}, found no such name") from error
    if not accepts(found):
        kind = "the class" if isinstance(found, type) else "an object of the class"
        raise ConfigurationError(f"{wanted}, found {kind} {dotted_name(found)}")
    return found


def import_module(name: str, place: str) -> ModuleType:
    """Import a module of the user's.

    Args:
        name: its dotted name.
        place: the file, section and key that ask for it, for messages.

    Raises:
        ConfigurationError, Exception: as of `find_named`.
    """
    module = _module(name, place)
    if isinstance(module, ModuleNotFoundError):
        raise _no_module(name, place, module) from module
    return module


def dotted_name(thing: Any) -> str:
    """Return the dotted name of a class or an interface; of any other object, that of its class."""
    # Only asked of what is there: a tick without zope.interface has no interfaces.
    zope = sys.modules.get("zope.interface.interface")
    if not isinstance(thing, type) and not (zope and isinstance(thing, zope.InterfaceClass)):
        thing = type(thing)
    return f"{thing.__module__}.{getattr(thing, '__qualname__', None) or thing.__name__}"


def _module(name: str, place: str) -> ModuleType | ModuleNotFoundError:
    """Return a module, or the error that says that it, or a package on the way to it, does not exist."""
    with _explained(name, place):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module exists, and imports one that does not
            return error


def _no_module(name: str, place: str, error: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: expected the module {name} to be importable, found no module {error.name}; is it installed, or "
        "its folder in [jobcron] python_path?"
    )


@contextmanager
def _explained(module_name: str, place: str) -> Iterator[None]:
    """Explain what a module of the user's raises when it is imported."""
    try:
        yield
    except UserMistake:
        raise
    except _MISTAKES as error:
        text = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".rstrip(": ")
        raise ConfigurationError(
            f"{place}: expected the module {module_name} to be importable, it fails when it is imported: "
            f"{text}{_line_of(error)}"
        ) from error
    except Exception as error:
        if not hasattr(error, "__notes__"):  # the innermost place is the one to look at
            error.add_note(f"{place}: the module {module_name} raises this when it is imported")
        raise


def _line_of(error: BaseException) -> str:
    """Return where the user's code raised an error; nothing if only Python and jobcron had a part in it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" (in {error.filename}, line {error.lineno})"
    found, traceback = "", error.__traceback__
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if not path.startswith(("<", PACKAGE + os.sep)) and path != importlib.__file__:
            found = f" (in {path}, line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return found
