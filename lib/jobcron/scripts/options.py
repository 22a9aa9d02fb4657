"""The command lines of scripts: the parser, and options that name files."""

from __future__ import annotations

import argparse
import sys

from jobcron.settings.settings import LEVELS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

    from jobcron.scripts._profiling import ProfileFile


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


class CommandLine(argparse.ArgumentParser):
    """A parser whose error messages do not change the status if standard error cannot be written."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and exit with status 2."""
        from jobcron.reports.logs import complain

        complain(f"{self.format_usage()}{self.prog}: error: {message}")
        sys.exit(2)
