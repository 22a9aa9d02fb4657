"""``jobcron why``: say why a job or a section does not run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from uuid import UUID

from jobcron.commands._database import opened_for_reading
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json
from jobcron.commands.jobs._filters import job_id_or_uuid
from jobcron.errors import ConfigurationError
from jobcron.operations.details import find_job
from jobcron.operations.reasons import Cause, Explanation
from jobcron.operations.why import explain_job, explain_schedule, explain_section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("job", nargs="?", type=job_id_or_uuid, metavar="ID|UUID", help="a job")
    parser.add_argument("--section", metavar="SECTION", help="a section instead")
    parser.add_argument("--schedule", metavar="NAME", help="a schedule instead")
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Print the reasons; return 0 if it runs or would run now, 1 if it does not.

    Raises:
        UserMistake: the configuration or the database is wrong, or there is no such job.
    """
    if [options.job, options.section, options.schedule].count(None) != 2:
        raise ConfigurationError("expected the number of a job, or --section SECTION, or --schedule NAME")
    with opened_for_reading(options.config) as (settings, connection):
        if options.schedule is not None:
            found = explain_schedule(connection, settings, options.schedule)
        elif options.section is not None:
            found = explain_section(connection, settings, settings.section(options.section))
        else:
            number = find_job(connection, options.job) if isinstance(options.job, UUID) else options.job
            found = explain_job(connection, number, settings)
    if options.json:
        say_json(found)
    else:
        say("\n".join(_lines(found)))
    return 0 if found.is_runnable else 1


def _lines(found: Explanation) -> Iterator[str]:
    if found.schedule is not None:
        yield f"schedule {found.schedule} {'creates jobs' if found.is_runnable else 'creates no job now'}:"
        yield from _reasons(found)
        return
    what = f"section {found.section}" if found.job is None else f"job {found.job}"
    is_running = any(reason.cause is Cause.RUNNING for reason in found.reasons)
    verdict = (
        "is running" if is_running else "runs at the next opportunity" if found.is_runnable else "does not run"
    )
    yield f"{what} {verdict}{':' if found.reasons else ''}"
    yield from _reasons(found)


def _reasons(found: Explanation) -> Iterator[str]:
    for number, reason in enumerate(found.reasons, 1):
        yield f"{number}. {reason.cause}: {cell(reason.text)}"
        if reason.remedy is not None:
            yield f"   -> {cell(reason.remedy)}"
