"""Scripts that serve several instances, found by patterns of their configuration files.

Each instance is served by a process of its own, which knows nothing of the others: one whose configuration is
wrong, or whose database is away, stops no other.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.scripts.cron_script import CronScript
from jobcron.scripts.options import handed_on
from jobcron.settings.instance import DATABASE_VARIABLE, FILE_NAME, load_settings

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    import logging
    from collections.abc import Callable, Sequence

    from jobcron.settings.settings import Settings


APART_SECONDS = 0.05
"""How long after one process the next one is started: many at once would get in each other's way."""


class Instance(NamedTuple):
    """An instance among several.

    Attributes:
        path: its configuration file.
        name: what it is called: the name of the file's directory, or its path if another one has that name.
    """

    path: str
    name: str


class Patterns(NamedTuple):
    """Patterns of configuration files.

    Attributes:
        patterns: of files, or of the directories of files with the usual name.
        origin: where they stand, for messages.
        own: the configuration file that has them, which is served as well; None: an option has them.
    """

    patterns: Sequence[str]
    origin: str
    own: str | None = None

    def find(self) -> list[Instance]:
        """Return the instances that are there now."""
        from glob import glob

        found = {self.own} if self.own is not None else set()
        for pattern in self.patterns:
            for path in glob(pattern):
                file = os.path.join(path, FILE_NAME) if os.path.isdir(path) else path
                if os.path.isfile(file):
                    found.add(os.path.realpath(file))
        names = [os.path.basename(os.path.dirname(path)) for path in found]
        called = {path: os.path.basename(os.path.dirname(path)) for path in found}
        return [Instance(path, n if names.count(n := called[path]) == 1 else path) for path in sorted(found)]

    def find_some(self) -> list[Instance]:
        """Return the instances that are there now.

        Raises:
            ConfigurationError: there is none.
        """
        found = self.find()
        if not found:
            raise ConfigurationError(
                f"{self.origin}: expected patterns of configuration files, got: {' '.join(self.patterns)}, which "
                "no file matches"
            )
        return found


class Read(NamedTuple):
    """An instance whose configuration was read.

    Attributes:
        instance: the instance.
        settings: its settings; None: they are wrong.
        mistake: what is wrong with them.
    """

    instance: Instance
    settings: Settings | None
    mistake: str | None = None


def read(instance: Instance) -> Read:
    """Return an instance with its settings, or what is wrong with them; its application is not imported."""
    try:
        return Read(instance, load_settings(instance.path, asks_application=False))
    except ConfigurationError as error:
        return Read(instance, None, str(error))


class InstancesScript(CronScript):
    """A script that serves the instance of its configuration, or several."""

    @property
    def is_one_of_several(self) -> bool:
        """Whether another script has started this one, for one of the instances that it serves."""
        return self.options.named is not None

    def add_instances_option(self) -> None:
        """Add the option that names the instances."""
        self.parser.add_argument(
            "--instances",
            metavar="PATTERN",
            action="append",
            help="serve all instances whose configuration files match; may be repeated",
        )

    def _guarded(self) -> int:
        """Serve the instances that the option names; without it, what `main` serves."""
        options = self.options
        if options.instances is None:
            return super()._guarded()
        if options.config is not None:
            self.parser.error("expected --config or --instances, got both")
        patterns = [os.path.abspath(os.path.expanduser(pattern)) for pattern in options.instances]
        try:
            return self._serve(Patterns(patterns, "--instances"))
        except (Exception, KeyboardInterrupt) as error:
            from jobcron.scripts._endings import exit_status_of

            return exit_status_of(self, error)

    def _others(self) -> Patterns | None:
        """Return the patterns that the configuration names; None: it serves itself alone."""
        settings = self.settings
        if not settings.instances or self.is_one_of_several:
            return None
        return Patterns(settings.instances, settings.place("instances"), settings.path)

    def _serve(self, patterns: Patterns) -> int:
        """Check what holds for any number of instances, serve them, and return the exit status.

        Raises:
            ConfigurationError: they would have one database.
        """
        from jobcron.runner.signals import restore_signals
        from jobcron.scripts._children import check_thread

        if os.environ.get(DATABASE_VARIABLE):
            raise ConfigurationError(
                f"expected {DATABASE_VARIABLE} not to be set for several instances, each of which has a database "
                "of its own"
            )
        if self.options.profile is not None:
            self.parser.error("expected one instance with --profile")
        check_thread()
        if not self.in_test:
            restore_signals()
        return self.serve_instances(patterns)

    def serve_instances(self, patterns: Patterns) -> int:
        """Serve instances, and return the exit status; for subclasses to override."""
        raise NotImplementedError(f"{type(self).__name__} has no serve_instances()")


def command_for(module: str, instance: Instance, options: argparse.Namespace) -> list[str]:
    """Return what starts a script for one instance, by its module."""
    # -P: Python does not search the working directory.
    named = [f"--config={instance.path}", f"--named={instance.name}"]
    return [sys.executable, "-P", "-m", module, *named, *handed_on(options)]


def run_members(
    reads: list[Read],
    module: str,
    arguments_for: Callable[[Settings], list[str]],
    options: argparse.Namespace,
    logger: logging.Logger,
) -> int:
    """Run a script once for each instance, all at the same time; return the exit status.

    Args:
        reads: the instances.
        module: the script's, which runs it.
        arguments_for: returns its arguments; none: the instance is left out.
        options: the options of the script that serves all.
        logger: its log.
    """
    from jobcron.reports.logs import NO_OOPS
    from jobcron.scripts._children import Children, Start

    starts: list[Start] = []
    for found in reads:
        if found.settings is None:
            tell_mistake(found, logger)
        elif arguments := arguments_for(found.settings):
            command = [*command_for(module, found.instance, options), *arguments]
            starts.append(Start(found.instance.name, command, len(starts) * APART_SECONDS))
    children = Children(len(starts))  # no limit: one that is slow would keep the others waiting
    children.run(starts)
    for name, reason in children.unstartable.items():
        logger.error("No process could be started for %s: %s", name, reason, extra=NO_OOPS)
    if signal.SIGINT in children.received:
        raise KeyboardInterrupt
    fine = {0, *(-number for number in children.received)}
    is_fine = all(status in fine for status in children.statuses.values())
    return 0 if is_fine and not children.unstartable and all(found.settings for found in reads) else 1


def check_names(
    reads: list[Read], names: Sequence[str], known_in: Callable[[Settings], set[str]], what: str
) -> None:
    """Check that each name is known in an instance; not if the configuration of one cannot be read.

    Raises:
        ConfigurationError: a name is known in none.
    """
    if any(found.settings is None for found in reads):
        return
    known = set().union(*(known_in(found.settings) for found in reads if found.settings is not None))
    for name in names:
        if name not in known:
            hint = ": the pattern after --instances has to stand in quotes" if os.sep in name else ""
            raise ConfigurationError(f"expected {what} of one of the instances, got: {name}{hint}")


def tell_mistake(found: Read, logger: logging.Logger) -> None:
    """Log what is wrong with the configuration of an instance."""
    from jobcron.reports.logs import NO_OOPS

    logger.error("%s is not served: %s", found.instance.name, found.mistake, extra=NO_OOPS)
