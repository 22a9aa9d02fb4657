"""``jobcron jobs``: list jobs."""

from __future__ import annotations

import argparse

from sqlalchemy import Connection

from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_table
from jobcron.commands.jobs._filters import add_filters, job_id, positive, selection_of
from jobcron.commands.jobs._watch import add_watch, look
from jobcron.interfaces import JobStatus
from jobcron.operations.listing import Count, JobSummary, Page, count_jobs, list_jobs
from jobcron.operations.selection import NEAREST, check_type
from jobcron.runner.grouped.runs import LiveRun, group_runs
from jobcron.settings.settings import Settings

HEADS = ("id", "status", "type", "queue", "due (UTC)", "created (UTC)", "attempts", "by", "description", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_filters(parser)
    parser.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="list at most N; by default %(default)s"
    )
    parser.add_argument(
        "--before", type=job_id, metavar="ID", help="only jobs with smaller numbers: the next page"
    )
    parser.add_argument("--count", action="store_true", help="only count them, up to 10,000")
    add_watch(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """List or count jobs, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """

    def read(settings: Settings, connection: Connection) -> Count | tuple[Page, list[LiveRun]]:
        selection = selection_of(options, settings)
        for name in selection.types:
            check_type(connection, name)
        if options.count:
            return count_jobs(connection, selection)
        return list_jobs(connection, selection, below=options.before, limit=options.limit), group_runs(connection)

    def tell(found: Count | tuple[Page, list[LiveRun]]) -> None:
        if isinstance(found, Count):
            say_json({"count": found}) if options.json else say(str(found))
        elif options.json:
            say_json(found[0])
        else:
            _tell_page(*found)

    return look(options, read, tell)


def _tell_page(page: Page, groups: list[LiveRun]) -> None:
    """Print a page, and which of its jobs may be running although their rows are WAITING."""
    say_table(HEADS, map(_row, page.jobs))
    waiting = {job.type for job in page.jobs if job.status is JobStatus.WAITING}
    for run in groups:
        if run.type in waiting and not run.is_over:
            told = "runs jobs of it in groups: those of its group are RUNNING, and WAITING here until it commits"
            say(f"# {cell(run.type)}: {cell(run.name)} {told}")
    if page.is_cut:
        say(f"# of this graph the {NEAREST:,} nearest jobs have been looked at: it has more")
    if page.next is not None:
        reason = "more" if page.is_full else "older jobs have not been looked at"
        say(f"# {reason}: --before {page.next}")


def _row(job: JobSummary) -> tuple[object, ...]:
    return (
        job.id,
        job.status,
        job.type,
        job.queue,
        job.scheduled_start,
        job.date_created,
        job.attempt_count,
        job.requester,
        job.description,
        job.error,
    )
