"""``jobcron plan``: say what the next run of a section would do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_table
from jobcron.commands.jobs._filters import positive
from jobcron.operations.forecast.plan import LIMIT, Plan, plan_section
from jobcron.reports.plurals import counted

HEADS = ("place", "step", "id", "type", "priority", "due (UTC)", "why")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("section", metavar="SECTION", help="the section")
    parser.add_argument(
        "--limit", type=positive, default=LIMIT, metavar="N", help="list at most N jobs; by default %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Print a plan; return 0, or 1 if something keeps the section from running at all.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    with opened_database(options.config) as (settings, database), database.begin(writing=False) as connection:
        plan = plan_section(connection, settings, settings.section(options.section), limit=options.limit)
    if options.json:
        say_json(plan)
    else:
        rows = [
            (place, job.step, job.id, job.type, job.priority, job.scheduled_start, job.why)
            for place, job in enumerate(plan.jobs, 1)
        ]
        say_table(HEADS, rows)
        say("\n".join(f"# {cell(line)}" for line in _remarks(plan)))
    return 1 if plan.is_blocked else 0


def _remarks(plan: Plan) -> Iterator[str]:
    for one in plan.schedules:
        yield f"first, the schedule {one.name} creates {counted(one.count, 'job')} of {one.job}, for {one.first}"
    if not plan.is_complete:
        yield f"more: --limit {2 * len(plan.jobs)}"
    if not plan.jobs and not plan.schedules:
        yield "the run would find nothing to do"
    how = "each is claimed before it runs" if plan.decides else f"claimed by up to {plan.batch_size} at once"
    yield f"{plan.source}, {plan.runner}; {how}; workers: {plan.max_workers}; leases: {plan.lease_seconds:g} s"
    if plan.decides:
        yield "the source decides which jobs are ready: it is asked again until it names none that can be claimed"
    if plan.max_runtime is not None:
        about = (
            ""
            if plan.expected is None
            else f": at {plan.typical_seconds:.1f} s a job, about {counted(plan.expected, 'job')}"
        )
        yield f"no job is started after {plan.max_runtime:g} s{about}"
    for reason in plan.obstacles:
        word = "does not run now" if reason.is_blocking else "does not run yet"
        yield f"{word}: {reason.cause}: {reason.text}" + (f" -> {reason.remedy}" if reason.remedy else "")
