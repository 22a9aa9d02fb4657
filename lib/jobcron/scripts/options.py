"""The command lines of scripts: the parser, and options that name files."""

from __future__ import annotations

import argparse
import os
import sys

from jobcron.settings.settings import LEVELS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from jobcron.scripts._profiling import ProfileFile

MAX_JOBS = 1000
MAX_SPLAY_SECONDS = 86400.0

COLUMNS = 80
"""The width of what is no terminal."""

LONG_USAGE = 2
"""How many lines a usage may have to be printed together with an error."""


def log_file(text: str) -> tuple[int, str]:
    """Return the level and the path in ``--log-file``; the default level is INFO."""
    level, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        level, path = "INFO", text
    if level.upper() not in LEVELS or not path or "\0" in path:
        raise argparse.ArgumentTypeError(
            f"expected LEVEL:FILE with one of {', '.join(LEVELS)}, or a file alone, got: {text!r}"
        )
    return LEVELS[level.upper()], path


def count_of_children(text: str) -> int:
    """Return the number of children that ``--jobs`` allows at once."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {MAX_JOBS}, got: {text!r}")
    return int(text)


def splay_seconds(text: str) -> float:
    """Return the value of ``--splay``, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SPLAY_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds from 0 to {MAX_SPLAY_SECONDS:g}, got: {text!r}"
        )
    return value


def handed_on(options: argparse.Namespace) -> list[str]:
    """Return the log options of a script, to pass them on to a script that it starts."""
    found = ["-v"] * options.verbose + ["-q"] * options.quiet
    if options.log_file is not None:
        level, path = options.log_file
        names = {number: name for name, number in LEVELS.items()}
        found.append(f"--log-file={names[level]}:{path}")
    if options.named is not None:
        found.append(f"--named={options.named}")
    return found


def profile_file(path: str) -> ProfileFile:
    """Return the file in ``--profile``, open for writing."""
    from jobcron.scripts._profiling import open_profile

    try:
        return open_profile(path)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise argparse.ArgumentTypeError(
            f"expected a file that can be written, got: {path!r}: {reason}"
        ) from error


class HelpFormatter(argparse.HelpFormatter):
    """A help formatter that finds the terminal's width itself, because argparse would import `shutil` for this."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """Return the width of the terminal, as `shutil.get_terminal_size` does."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or COLUMNS  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # no standard output, or no terminal
        return COLUMNS


class CommandLine(argparse.ArgumentParser):
    """A parser whose error messages do not change the status if standard error cannot be written."""

    def __init__(
        self,
        prog: str | None = None,
        usage: str | None = None,
        description: str | None = None,
        *,
        formatter_class: Callable[..., argparse.HelpFormatter] = HelpFormatter,
        add_help: bool = True,
        allow_abbrev: bool = True,
    ) -> None:
        super().__init__(
            prog,
            usage,
            description,
            formatter_class=formatter_class,
            add_help=add_help,
            allow_abbrev=allow_abbrev,
        )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse a command line; for an unknown option, suggest the one that may be meant."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.refuse(unknown)
        return found

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse a value that is not among an option's choices, and suggest the one that may be meant."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            from jobcron.settings.suggestions import suggestion

            error.message += suggestion(str(value), map(str, action.choices or ()))
            raise

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Print that there are no such arguments, suggest the option that may be meant, and exit with status 2."""
        from jobcron.settings.suggestions import suggestion

        first = next((text.partition("=")[0] for text in unknown if text.startswith("--")), "")
        meant = suggestion(first, [name for name in self._option_string_actions if name.startswith("--")])
        self.error(f"unrecognized arguments: {' '.join(unknown)}{meant if first else ''}")

    def error(self, message: str) -> NoReturn:
        """Print the error, and exit with status 2."""
        from jobcron.reports.complaints import complain

        usage = self.format_usage()
        if usage.count("\n") > LONG_USAGE:  # else the error is lost in it
            usage = f"usage: {self.prog} … ({self.prog} --help has all options)\n"
        complain(f"{usage}{self.prog}: error: {message}")
        sys.exit(2)
