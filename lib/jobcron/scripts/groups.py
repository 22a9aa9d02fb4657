"""Several sections in one script: those of groups, or all, each as a separate run (LP-17)."""

from __future__ import annotations

import signal
import sys
import time
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.queue.tick import with_work
from jobcron.scripts._telling.quiet_runs import QuietRuns, in_turn
from jobcron.scripts.code_stamp import types_by_source
from jobcron.scripts.instances import InstancesScript, Patterns, check_names, read, run_members
from jobcron.scripts.locks.holders import lock_file, names_of_the_dead
from jobcron.scripts.options import count_of_children, handed_on, splay_seconds
from jobcron.settings.settings import GROUPS_CONTROL
from jobcron.settings.suggestions import suggestion

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

    from jobcron.scripts._children import Children, Start
    from jobcron.settings.settings import Section, Settings

FINE = (0, 3)
"""Statuses of a section that did its work, or whose earlier run is still going."""

LOOK_SECONDS = 5.0
"""Seconds after which no more roles are asked for work: if the database does not answer, the runs notice."""


class ProcessJobSources(InstancesScript):
    """Run the ready jobs of several sections, each in a process of its own: a failing one harms no other."""

    usage = "%(prog)s [options] GROUP... | --all"

    control_name = GROUPS_CONTROL
    """The script's name in the control file, however it is started."""

    records_runs = False  # its sections' runs do

    has_own_help = True  # argparse's acts before it has read --config

    takes_lock = False
    """Each section has a lock: two of these scripts never run the same section at once."""

    def __init__(
        self,
        name: str | None = None,
        test_args: Sequence[str] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(name, test_args, logger)
        if self.options.help:
            self._help()
        if self.options.all == bool(self.args):
            got = " ".join(self.args) or "neither"
            choices = "; ".join(["", *self._choices()])
            self.parser.error(f"expected the names of groups, or --all, got: {got}{choices}")

    def add_my_options(self) -> None:
        """Add the options that choose sections and control how they are started."""
        add = self.parser.add_argument
        add("-h", "--help", action="store_true", help="show this help message and exit")
        add("--all", action="store_true", help="all sections, including those without a crontab_group")
        add(
            "--exclude",
            "-e",
            metavar="NAME",
            action="append",
            default=[],
            help="leave this section out; may be repeated",
        )
        add(
            "--jobs",
            metavar="N",
            type=count_of_children,
            default=4,
            help="run at most N sections at once; by default %(default)s",
        )
        add(
            "--splay",
            metavar="SECONDS",
            type=splay_seconds,
            default=0.0,
            help="start each section at a random moment within this time",
        )
        add("--fail-on-job-failure", action="store_true", help="exit with status 1 if a job did not complete")
        self.add_instances_option()

    def _help(self) -> NoReturn:
        """Print the help, with the groups and the sections of the configuration, and exit."""
        choices = "; ".join(self._choices())
        self.parser.epilog = choices[:1].upper() + choices[1:]
        self.parser.print_help()
        sys.exit(0)

    def _choices(self) -> list[str]:
        """Return the groups and the sections for a message; nothing if the configuration cannot be read."""
        try:
            groups, sections = groups_of(self.settings), self.settings.sections
        except ConfigurationError:
            return []
        grouped = [f"{name} ({', '.join(s.name for s in found)})" for name, found in sorted(groups.items())]
        others = [name for name, section in sorted(sections.items()) if section.crontab_group is None]
        parts = {"the groups are": grouped, "in no group": others}
        return [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]

    @property
    def lock_name(self) -> str:
        """See `control_name`; there is no lock."""
        return self.control_name

    def main(self) -> int | None:
        """Start the sections that may have something to do, and wait until they have ended."""
        settings = self.settings
        if (patterns := self._others()) is not None:
            return self._serve(patterns)
        chosen = list(self._enabled(settings, self._chosen(settings)))
        ready = sections_with_work(settings, chosen)
        if not ready:
            return 0
        from jobcron.runner.signals import restore_signals
        from jobcron.scripts._children import Children, check_thread

        check_thread()
        if not self.in_test:
            restore_signals()
        known = outages(settings, ready)
        children = Children(self.options.jobs)
        children.run(list(self.starts(settings, ready)))
        return self._tell(children, Round(len(chosen), ready, known, outages(settings, ready)))

    def serve_instances(self, patterns: Patterns) -> int:
        """Run the groups of several instances, in a process for each, all at once."""
        reads = [read(instance) for instance in patterns.find_some()]
        check_names(reads, self.args, lambda settings: {*groups_of(settings)}, "a crontab_group")
        return run_members(reads, "jobcron.scripts.groups", self._arguments_for, self.options, self.logger)

    def _arguments_for(self, settings: Settings) -> list[str]:
        """Return the arguments for the script of one of several instances; none: there is nothing to do."""
        options = self.options
        names = ["--all"] if options.all else [name for name in self.args if name in groups_of(settings)]
        if not names:
            return []
        names += [f"--exclude={name}" for name in options.exclude if name in settings.sections]
        names += [f"--jobs={options.jobs}", f"--splay={options.splay}"]
        return names + ["--fail-on-job-failure"] * options.fail_on_job_failure

    def _chosen(self, settings: Settings) -> list[Section]:
        """Return the sections that the arguments choose.

        Raises:
            ConfigurationError: there is no such group.
        """
        groups = groups_of(settings)
        for name in self.args:
            if name not in groups:
                raise ConfigurationError(
                    f"{settings.path}: expected a section with crontab_group {name}, found none; the groups are: "
                    f"{', '.join(sorted(groups)) or 'none'}{suggestion(name, groups)}"
                )
        for name in self.options.exclude:
            if name not in settings.sections:  # it may have been removed while a crontab still names it
                known = ", ".join(sorted(settings.sections)) or "none"
                self.logger.info("--exclude %s: there is no such section; the sections are: %s", name, known)
        chosen = list(settings.sections.values())
        if not self.options.all:
            chosen = [section for section in chosen if section.crontab_group in self.args]
        for name in {*self.options.exclude} & {*settings.sections} - {section.name for section in chosen}:
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
            elif verdict.is_problem:
                from jobcron.reports.logs import NO_OOPS

                self.logger.error("%s: %s", section.name, verdict.reason, extra=NO_OOPS)
            else:
                self.logger.info("%s: %s", section.name, verdict.reason)

    def starts(self, settings: Settings, sections: list[Section]) -> Iterator[Start]:
        """Return how and when each section is started."""
        from random import uniform

        from jobcron.scripts._children import Start

        # -P: Python does not search the working directory. The children find the settings as this process did.
        member = [sys.executable, "-P", "-m", "jobcron.scripts._member", "--config", settings.path]
        command = [*member, *handed_on(self.options)]
        command += ["--fail-on-job-failure"] * self.options.fail_on_job_failure
        for section in sections:
            yield Start(section.name, [*command, section.name], uniform(0.0, self.options.splay))

    def _tell(self, children: Children, round_: Round) -> int:
        """Log which sections failed, and return the exit status."""
        from jobcron.reports.logs import NO_OOPS, somebody_looks

        for name, reason in children.unstartable.items():
            self.logger.error("No process could be started for %s: %s", name, reason, extra=NO_OOPS)
        if children.received:
            left = len(round_.sections) - len(children.statuses) - len(children.unstartable)
            self.logger.info("Stopped by a signal; sections that were not started: %d.", left)
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
    from jobcron.scripts.outage import reason_of

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

    A section whose source this code does not know, or that finds its ready jobs itself, may have something to do.
    A database that does not answer costs one role's timeout, however many roles there are. All others count as
    having work, and their runs wait in parallel.
    """
    by_role: dict[str | None, dict[str, str]] = {}
    ready, known = set(), types_by_source(settings)
    for section in in_turn(sections, settings.activity_interval):
        if (type_name := known.get(section.source_interface or "")) is None:
            ready.add(section.name)
        else:
            by_role.setdefault(section.dbuser, {})[section.name] = type_name
    began, runs = time.monotonic(), QuietRuns(settings, takes_turns=False)
    for user, types in by_role.items():
        if time.monotonic() - began > LOOK_SECONDS:
            ready |= set(types)
            continue
        gone = {name: names_of_the_dead(lock_file(settings.lock_dir, name)) for name in types}
        asked = (settings.activity_interval, gone, settings.channels_of(types), runs.may_note)
        ready |= with_work(settings.database_url, user, types, *asked)
    return [section for section in sections if section.name in ready]


if __name__ == "__main__":  # for one of several instances
    ProcessJobSources(name="jobcron process-job-sources").lock_and_run()
