"""Look things up by their dotted names: the only place that imports a user's module by name."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from types import ModuleType
from typing import Any, NamedTuple, overload

from jobcron.errors import ConfigurationError, DuplicateJobType, IncompleteJobType, InvalidDuration, UserMistake
from jobcron.settings.settings import PACKAGE, Settings
from jobcron.settings.suggestions import suggestion

# why: decisions 2026-11-29, one look-up of dotted names
_MISTAKES = (ImportError, SyntaxError, SystemExit, DuplicateJobType, IncompleteJobType, InvalidDuration)
"""Errors of a user's module for which a message is enough. Other errors make a report."""

MOST_TOLD = 500
"""How many characters of an error are told in one line."""

_LEFT_OUT = re.compile(r"__main__|conftest|tests?|test_.*|.*_test")
"""Modules that are no part of the running application: they need packages of tests, or do something at once."""


@overload
def find_named(name: str, place: str, expected: str = ...) -> Callable[..., Any]: ...


@overload
def find_named(name: str, place: str, expected: str, accepts: Callable[[object], bool]) -> object: ...


def find_named(
    name: str, place: str, expected: str = "a callable", accepts: Callable[[object], bool] = callable
) -> object:
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
            hint = suggestion(attribute, _names_in(module))
            raise ConfigurationError(f"{wanted}, found no such name{hint}") from error
    if not accepts(found):
        kind = "the class" if isinstance(found, type) else "an object of the class"
        raise ConfigurationError(f"{wanted}, found {kind} {dotted_name(found)}")
    return found


def _names_in(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]


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


class Below(NamedTuple):
    """What there is below a package.

    Attributes:
        imported: the dotted names of the modules that were imported, the package's own first.
        left_out: the dotted names of those that were not, and the folders of modules that are no packages.
    """

    imported: list[str]
    left_out: list[str]


def import_below(name: str, place: str) -> Below:
    """Import a package, and every module below it except those of tests and ``__main__``.

    Args:
        name: the package's dotted name.
        place: the file, section and key that name it, for messages.

    Raises:
        ConfigurationError: it is not a package; or as for `find_named`.
        Exception: as for `find_named`.
    """
    import pkgutil

    package = import_module(name, place)
    if "__path__" not in vars(package):
        raise ConfigurationError(
            f"{place}: expected {name} to be a package, found the module {package.__file__}: a single module is "
            "named by [jobcron] application, or imported by it"
        )
    found = Below([name], [])
    known = set()
    for module in sorted(pkgutil.iter_modules(package.__path__), key=attrgetter("name")):
        known.add(module.name)
        full_name = f"{name}.{module.name}"
        if _LEFT_OUT.fullmatch(module.name) or not module.name.isidentifier():
            found.left_out.append(full_name)
        elif module.ispkg:
            below = import_below(full_name, place)
            found.imported.extend(below.imported)
            found.left_out.extend(below.left_out)
        else:
            import_module(full_name, place)
            found.imported.append(full_name)
    found.left_out.extend(folder for path in package.__path__ for folder in _folders_of_modules(path, known))
    return found


def _folders_of_modules(path: str, packages: set[str]) -> list[str]:
    """Return the folders with modules in a package's folder that are no packages: they lack ``__init__.py``."""
    found = []
    with suppress(OSError):  # in an archive, or closed to us
        for entry in sorted(os.scandir(path), key=attrgetter("name")):
            if entry.name not in packages and entry.is_dir():
                found += [entry.path] if any(name.endswith(".py") for name in os.listdir(entry.path)) else []
    return found


def extend_path(settings: Settings) -> None:
    """Let modules be found in the folders of ``python_path``."""
    for folder in reversed(settings.python_path or []):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def dotted_name(thing: object) -> str:
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
    """Raise `ConfigurationError` for a mistake in a user's module; add a note to any other error of its import."""
    try:
        yield
    except UserMistake:
        raise
    except _MISTAKES as error:
        text = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".rstrip(": ")
        raise ConfigurationError(
            f"{place}: expected the module {module_name} to be importable, it fails when it is imported: "
            f"{text}{line_of(error)}"
        ) from error
    except Exception as error:
        if not hasattr(error, "__notes__"):  # the innermost place is where to look
            error.add_note(f"{place}: the module {module_name} raises this when it is imported")
        raise


def in_words(error: Exception) -> str:
    """Return why the application could not be imported, for whoever goes on without it."""
    if isinstance(error, UserMistake):
        return str(error)
    text = " ".join(str(error).split())[:MOST_TOLD]
    return f"{type(error).__name__}: {text}{line_of(error)}"


def line_of(error: BaseException) -> str:
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
