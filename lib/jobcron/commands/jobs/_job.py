"""``jobcron job``: show everything about a job."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import fields_of, plain, say_json, say_table, say_text, say_values
from jobcron.commands.jobs._filters import job_id_or_uuid
from jobcron.database.tables import jobs_connection
from jobcron.interfaces import JobStatus
from jobcron.jobs.graphs.reading import Neighbour
from jobcron.operations.details import AboutJob, JobDetails, about_job, find_job, job_details
from jobcron.settings.secrets import redactor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("job", type=job_id_or_uuid, metavar="ID|UUID", help="its number, or its UUID (slower)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Show a job, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong, or there is no such job.
    """
    opened = opened_database(options.config, needs_application=False)
    with opened as (settings, database), closing(database.session(writing=False)) as session:
        connection = jobs_connection(session)
        number = find_job(connection, options.job) if isinstance(options.job, UUID) else options.job
        job = job_details(connection, number)
        about = about_job(session, number, settings)
    if options.json:
        say_json({**fields_of(job), "about": about})
        return 0
    say_values(_values(job, about))
    _say_neighbours("Waits for", job.predecessors)
    _say_neighbours("Is waited for by", job.successors)
    if job.history:
        say("\nHistory")
        say_table(
            ("when (UTC)", "who", "what", "report", "detail"),
            [(event.at, event.actor, event.kind, event.oops_id, event.detail) for event in job.history],
        )
    if job.log:
        say("\nError")
        say_text(job.log.rstrip())
    return 0


def _say_neighbours(title: str, neighbours: tuple[Neighbour, ...]) -> None:
    """Say the jobs that this one waits for, or that wait for it."""
    if neighbours:
        say(f"\n{title}")
        rows = [
            (other.id, other.type, other.status, "any end" if other.any_end else "success", other.description)
            for other in neighbours
        ]
        say_table(("job", "type", "status", "needed", "description"), rows)


def _values(job: JobDetails, about: AboutJob) -> Iterator[tuple[str, object]]:
    yield "job", job.id
    yield "uuid", job.uuid
    yield "type", job.type
    yield "status", job.status
    yield "description", job.description
    yield "queue", job.queue
    yield "channel", job.channel
    yield "priority", job.priority
    yield "requester", job.requester
    yield "unique key", job.unique_key
    yield "created", job.date_created
    yield "due", job.scheduled_start
    yield "expires", job.expires_at
    yield "started", job.date_started
    yield "finished", job.date_finished
    deaths = f", its process died in {job.crash_count} of them" if job.crash_count else ""
    yield "attempts", f"{job.attempt_count}{deaths}"
    yield "retries", "for ever" if job.max_retries is None else job.max_retries
    yield "progress", None if job.progress is None else f"{job.progress} %"
    yield "held by" if job.status is JobStatus.RUNNING else "last held by", job.claimed_by
    yield "lease until", job.lease_expires
    yield "report", job.oops_id
    yield "result", job.result
    yield "target", about.target or (None if job.target_id is None else f"{job.target_type} {job.target_id}")
    yield "related", about.related
    for name, value in [*(about.arguments or job.data).items(), *(job.steps or {}).items()]:
        yield f"  {name}", json.dumps(redactor().named(name, plain(value)), ensure_ascii=False)
