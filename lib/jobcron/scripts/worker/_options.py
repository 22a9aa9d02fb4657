"""The options of a worker."""

from __future__ import annotations

import argparse
import math

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobcron.scripts.worker._terms import Terms
    from jobcron.settings.settings import Settings

MOST_PROCESSES = 64
LINGER_SECONDS = 15.0
MAX_AGE_SECONDS = 300.0
DEFAULT_GIVE_UP = 300.0
MEGABYTE = 1 << 20


def number(least: float, most: float, *, whole: bool = False) -> Callable[[str], float]:
    """Return a converter for an option that is a number within bounds."""

    def convert(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = -1
        if not least <= value <= most:
            what = "a whole number" if whole else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} from {least:g} to {most:g}, got: {text!r}")
        return value

    return convert


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how much a worker does at once, and for how long."""
    add = parser.add_argument
    count = number(1, MOST_PROCESSES, whole=True)
    add(
        "--processes",
        metavar="N",
        type=count,
        help="run up to N jobs at once; by default the largest max_workers of the worker's sections",
    )
    seconds = number(0.01, 3600)
    add("--poll", metavar="SECONDS", type=seconds, default=1.0, help="look for work this often; by default 1")
    add(
        "--rate-limit",
        "--rate_limit",
        metavar="SECONDS",
        type=number(0, 86400),
        default=0.0,
        help="wait at least this long between the starts of two jobs",
    )
    large = number(1, 10**12, whole=True)
    add("--max-jobs", metavar="N", type=large, help="replace a process after N jobs")
    add("--max-memory", metavar="MB", type=large, help="replace a process that uses more memory than this")
    add("--max-runtime", metavar="SECONDS", type=number(0.1, 10**9), help="exit after this many seconds")
    add("--until-empty", action="store_true", help="exit as soon as no job is ready")
    add(
        "--give-up",
        metavar="SECONDS",
        type=number(1, 10**9),
        default=DEFAULT_GIVE_UP,
        help="exit with status 1 when all sections have failed for this long; by default 300",
    )
    add("--dry-run", "--dry_run", action="store_true", help="only say which sections have work")
    add("--tether", type=int, help=argparse.SUPPRESS)  # of one of several instances: see `_one`


def handed_on(options: argparse.Namespace, runtime: float | None) -> list[str]:
    """Return these options for the worker of one of several instances.

    Args:
        options: the parsed options.
        runtime: the seconds that are left of ``--max-runtime``.
    """
    values = {
        "processes": options.processes,
        "poll": options.poll,
        "rate-limit": options.rate_limit,
        "max-jobs": options.max_jobs,
        "max-memory": options.max_memory,
        "max-runtime": runtime,
    }
    flags = {"until-empty": options.until_empty, "dry-run": options.dry_run}
    found = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return found + [f"--{name}" for name, is_set in flags.items() if is_set]


def terms_of(options: argparse.Namespace, settings: Settings, processes: int, *, gives_up: bool) -> Terms:
    """Return the terms that the options give.

    Args:
        options: the parsed options.
        settings: the instance's.
        processes: how many jobs it runs at once, unless the options say it.
        gives_up: whether the worker itself decides when it is hopeless.
    """
    from jobcron.scripts.worker._rate import Rate
    from jobcron.scripts.worker._terms import Terms

    return Terms(
        processes=options.processes or min(processes, MOST_PROCESSES),
        poll=options.poll,
        linger=0.0 if options.until_empty else LINGER_SECONDS,
        max_age=min(MAX_AGE_SECONDS, settings.activity_interval),
        max_jobs=options.max_jobs,
        max_memory=None if options.max_memory is None else options.max_memory * MEGABYTE,
        rate=Rate(options.rate_limit),
        max_runtime=options.max_runtime,
        until_empty=options.until_empty,
        is_notified=settings.notify,
        give_up=options.give_up if gives_up else math.inf,
    )
