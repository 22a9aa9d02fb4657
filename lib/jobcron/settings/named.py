"""Look things up by their dotted names: the only place that imports a user's module by name."""

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

# why: decisions 2026-11-29, one look-up of dotted names
_MISTAKES = (ImportError, SyntaxError, SystemExit, DuplicateJobType, IncompleteJobType)
"""Errors of a user's module for which a message is enough. Other errors make a report."""


def find_named(
    name: str, place: str, expected: str = "a callable", accepts: Callable[[Any], bool] = callable
) -> Any:
    """Return the object that a dotted name stands for.

    Args:
        name: ``module:name`` or ``module.name``; the name may have several parts (``module:Class.method``).
        place: the file, section and key that name it, for messages.
        expected: what it has to be, for messages.
        accepts: returns whether an object is that.

    Raises:
        ConfigurationError: there is no such module, its import fails, it has no such name, or the object is not
            the expected one; the message says which.
        Exception: any other error that the module's import raises; a note on the error names `place`.
    """
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if not module_name or not attribute:
        raise ConfigurationError(
            f"{place}: expected the dotted name (module.name or module:name) of {expected}, got: {name}"
        )
    module = _module(module_name, place)
    if isinstance(module, ModuleNotFoundError):
        parent, _, class_name = module_name.rpartition(".")
        known = sys.modules.get(parent)  # imported on the way; the module's name may end before the class
        if ":" in name or known is None or class_name not in vars(known):
            raise _no_module(module_name, place, module) from module
        module, module_name, attribute = known, parent, f"{class_name}.{attribute}"
    wanted = f"{place}: expected {attribute} in {module_name} to be {expected}"
    with _explained(module_name, place):  # a module may import the name lazily (``__getattr__``)
        try:
            found = attrgetter(attribute)(module)
        except AttributeError as error:
            raise ConfigurationError(f"{wanted}, found no such name") from error
    if not accepts(found):
        kind = "the class" if isinstance(found, type) else "an object of the class"
        raise ConfigurationError(f"{wanted}, found {kind} {dotted_name(found)}")
    return found


def import_module(name: str, place: str) -> ModuleType:
    """Import a user's module.

    Args:
        name: its dotted name.
        place: the file, section and key that name it, for messages.

    Raises:
        ConfigurationError, Exception: as for `find_named`.
    """
    module = _module(name, place)
    if isinstance(module, ModuleNotFoundError):
        raise _no_module(name, place, module) from module
    return module


def dotted_name(thing: Any) -> str:
    """Return the dotted name of a class or an interface, or of any other object's class."""
    # Not imported here: in a tick without zope.interface there are no interfaces.
    zope = sys.modules.get("zope.interface.interface")
    if not isinstance(thing, type) and not (zope and isinstance(thing, zope.InterfaceClass)):
        thing = type(thing)
    return f"{thing.__module__}.{getattr(thing, '__qualname__', None) or thing.__name__}"


def _module(name: str, place: str) -> ModuleType | ModuleNotFoundError:
    """Return a module, or the error that says that it or one of its packages does not exist."""
    with _explained(name, place):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module exists, and imports another that does not
            return error


def _no_module(name: str, place: str, error: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: expected the module {name} to be importable, found no module {error.name}; is it installed, or "
        "its folder in [jobcron] python_path?"
    )


@contextmanager
def _explained(module_name: str, place: str) -> Iterator[None]:
    """Turn errors of a user's module during its import into explanations."""
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
        if not hasattr(error, "__notes__"):  # the innermost place is where to look
            error.add_note(f"{place}: the module {module_name} raises this when it is imported")
        raise


def _line_of(error: BaseException) -> str:
    """Return where the user's code raised an error; empty if only Python and jobcron were involved."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" (in {error.filename}, line {error.lineno})"
    found, traceback = "", error.__traceback__
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if not path.startswith(("<", PACKAGE + os.sep)) and path != importlib.__file__:
            found = f" (in {path}, line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return found
