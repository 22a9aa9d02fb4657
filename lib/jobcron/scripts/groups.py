"""Several sections in one script: those of groups, or all, each as a separate run (LP-17)."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.queue.tick import with_work
from jobcron.scripts.cron_script import CronScript
from jobcron.settings.settings import LEVELS

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

    from jobcron.scripts._children import Children, Start
    from jobcron.settings.settings import Section, Settings

FINE = (0, 3)
"""Statuses of a section that did its work, or whose earlier run is still going."""

DEFAULT_JOBS = 4
MAX_JOBS = 1000
MAX_SPLAY_SECONDS = 86400.0

LOOK_SECONDS = 5.0
"""Seconds after which no more roles are asked for work: if the database does not answer, the runs notice."""


def count(text: str) -> int:
    """Return the number of children that ``--jobs`` allows at once."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {MAX_JOBS}, got: {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return the time in seconds that ``--splay`` gives."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SPLAY_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds from 0 to {MAX_SPLAY_SECONDS:g}, got: {text!r}"
        )
    return value


class ProcessJobSources(CronScript):
    """Run the ready jobs of several sections, each in a process of its own: a failing one harms no other."""

    usage = "%(prog)s [options] GROUP... | --all"

    control_name = "process-job-sources"
    """The script's name in the control file, however it is started."""

    takes_lock = False
    """Each section has a lock: two of these scripts never run the same section at once."""

    def __init__(
        self,
        name: str | None = None,
        test_args: Sequence[str] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(name, test_args, logger)
        if self.options.all == bool(self.args):
            self.parser.error(f"expected the names of groups, or --all, got: {' '.join(self.args) or 'neither'}")

    def add_my_options(self) -> None:
        """Add the options that choose sections and control how they are started."""
        add = self.parser.add_argument
        add("--all", action="store_true", help="all sections, those without a crontab_group as well")
        add(
            "--exclude",
            "-e",
            metavar="NAME",
            action="append",
            default=[],
            help="not this section; may be repeated",
        )
        add(
            "--jobs", metavar="N", type=count, default=DEFAULT_JOBS, help="so many at once; by default %(default)s"
        )
        add("--splay", metavar="SECONDS", type=seconds, default=0.0, help="start each at random within this time")
        add("--fail-on-job-failure", action="store_true", help="leave with status 1 where a job did not complete")

    @property
    def lock_name(self) -> str:
        """See `control_name`; there is no lock."""
        return self.control_name

    def main(self) -> int | None:
        """Start the sections that may have something to do, and wait until they have ended."""
        settings = self.settings
        chosen = list(self._enabled(settings, self._chosen(settings)))
        ready = sections_with_work(settings, chosen)
        if not ready:
            return 0
        from jobcron.scripts._children import Children

        known = outages(settings, ready)
        children = Children(self.options.jobs)
        children.run(list(self.starts(settings, ready)))
        return self._tell(children, Round(len(chosen), ready, known, outages(settings, ready)))

    def _chosen(self, settings: Settings) -> list[Section]:
        """Return the sections that the arguments choose.

        Raises:
            ConfigurationError: there is no such group, or no such section to exclude.
        """
        groups = groups_of(settings)
        for name in self.args:
            if name not in groups:
                raise ConfigurationError(
                    f"{settings.path}: expected a section with crontab_group {name}, found none; the groups are: "
                    f"{', '.join(sorted(groups)) or 'none'}"
                )
        for name in self.options.exclude:
            if name not in settings.sections:
                raise ConfigurationError(
                    f"{settings.path}: expected --exclude to name a section, got: {name!r}; the sections are: "
                    f"{', '.join(sorted(settings.sections)) or 'none'}; the groups are: "
                    f"{', '.join(sorted(groups)) or 'none'}"
                )
        chosen = list(settings.sections.values())
        if not self.options.all:
            chosen = [section for section in chosen if section.crontab_group in self.args]
        for name in set(self.options.exclude) - {section.name for section in chosen}:
            self.logger.info("--exclude %s: it is in none of these groups: %s", name, ", ".join(self.args))
        return [section for section in chosen if section.name not in self.options.exclude]

    def _enabled(self, settings: Settings, sections: list[Section]) -> Iterator[Section]:
        """Leave out sections that are switched off: no process is started for them."""
        if settings.cron_control is None:
            yield from sections
            return
        from jobcron.scripts.control import Control

        control = Control(settings.cron_control)
        for section in sections:
            verdict = control.ask(section.name)
            if verdict.is_enabled:
                yield section  # its own run logs the problem
            else:
                self.logger.info("%s: %s", section.name, verdict.reason)

    def starts(self, settings: Settings, sections: list[Section]) -> Iterator[Start]:
        """Return how and when each section is started."""
        from random import uniform

        from jobcron.scripts._children import Start

        options = self.options
        # -P: Python does not search the working directory. The children find the settings as this process did.
        command = [sys.executable, "-P", "-m", "jobcron.scripts._member", "--config", settings.path]
        command += ["-v"] * options.verbose + ["-q"] * options.quiet
        if options.log_file is not None:
            level, path = options.log_file
            names = {number: name for name, number in LEVELS.items()}
            command.append(f"--log-file={names[level]}:{path}")
        if options.fail_on_job_failure:
            command.append("--fail-on-job-failure")
        for section in sections:
            after = uniform(0.0, options.splay) if options.splay else 0.0
            yield Start(section.name, [*command, section.name], after)

    def _tell(self, children: Children, round_: Round) -> int:
        """Log which sections failed, and return the exit status."""
        from jobcron.reports.logs import NO_OOPS, somebody_looks

        for name, reason in children.unstartable.items():
            self.logger.error("No process could be started for %s: %s", name, reason, extra=NO_OOPS)
        if children.received:
            left = len(round_.sections) - len(children.statuses) - len(children.unstartable)
            self.logger.info("Stopped by a signal; %d sections were not started.", left)
        fine = {*FINE, *(-number for number in children.received)}
        failed = {name: _status(status) for name, status in children.statuses.items() if status not in fine}
        failed |= dict.fromkeys(children.unstartable, "not started")
        if failed:
            names = ", ".join(f"{name} ({status})" for name, status in sorted(failed.items()))
            # A database that is still unavailable is no news: cron would mail it every minute.
            is_known = all(round_.is_known_outage(name) for name in failed) and not somebody_looks()
            log = self.logger.debug if is_known else self.logger.error
            log("%d of %d sections failed: %s.", len(failed), round_.chosen, names, extra=NO_OOPS)
        if signal.SIGINT in children.received:
            raise KeyboardInterrupt
        return 1 if failed else 0


class Round(NamedTuple):
    """The state when all children have ended.

    Attributes:
        chosen: how many sections were chosen.
        sections: those of them that were to be started.
        before: the outages' reasons at the start, by section.
        after: the outages' reasons now.
    """

    chosen: int
    sections: list[Section]
    before: dict[str, str | None]
    after: dict[str, str | None]

    def is_known_outage(self, name: str) -> bool:
        """Return whether the section's database is unavailable as before."""
        return self.before[name] is not None and self.before[name] == self.after[name]


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def outages(settings: Settings, sections: list[Section]) -> dict[str, str | None]:
    """Return the outages' reasons of sections' databases, as far as they are recorded."""
    from jobcron.scripts._outage import reason_of

    return {section.name: reason_of(settings.outage_file(section.name)) for section in sections}


def groups_of(settings: Settings) -> dict[str, list[Section]]:
    """Return the sections of each group."""
    groups: dict[str, list[Section]] = {}
    for section in settings.sections.values():
        if section.crontab_group is not None:
            groups.setdefault(section.crontab_group, []).append(section)
    return groups


def sections_with_work(settings: Settings, sections: list[Section]) -> list[Section]:
    """Return the sections that may have something to do; ask once for each role, over one connection.

    A database that does not answer costs one role's timeout, however many roles there are. All others count as
    having work, and their runs wait in parallel.
    """
    by_role: dict[str | None, dict[str, str]] = {}
    ready = set()
    for section in sections:
        if section.source_interface is None:
            ready.add(section.name)  # its run reports the problem
        else:
            by_role.setdefault(section.dbuser, {})[section.name] = section.source_interface
    began = time.monotonic()
    for user, sources in by_role.items():
        if time.monotonic() - began > LOOK_SECONDS:
            ready |= set(sources)
            continue
        ready |= with_work(settings.database_url, user, sources, settings.activity_interval)
    return [section for section in sections if section.name in ready]
