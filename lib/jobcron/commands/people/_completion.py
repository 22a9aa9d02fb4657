"""``jobcron completion``: print a script that completes command lines in a shell."""

from __future__ import annotations

import argparse

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def perform(options: argparse.Namespace) -> int:
    """Print the completion of all subcommands and their options, and return the exit status.

    Raises:
        ConfigurationError: the package that makes it is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise ConfigurationError(
            f"expected the package shtab, which comes with the extra jobcron[cli], got: {error}"
        ) from error
    from jobcron.commands.main import COMMANDS, full_parser

    say(shtab.complete(full_parser(list(COMMANDS)), options.shell))
    return 0
