"""``jobcron try``: run a job, show what it changes in the database, and roll it back."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from jobcron.commands._database import imported
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_text
from jobcron.commands.jobs._filters import job_id
from jobcron.operations.forecast.trial import RowChange, StatementCount, Trial, try_job
from jobcron.queue.outcome import Completed
from jobcron.settings.instance import load_settings, presented

NOT_UNDONE = (
    "not undone, if the job does it: mail by other means than jobcron, HTTP, files, other databases, sequences"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("job", type=job_id, metavar="ID", help="the number of the job")
    parser.add_argument(
        "--yes",
        action="store_true",
        help="go on although the job may have side effects that cannot be undone: mail, HTTP, files",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Try a job; return 0 if it completed, else 1.

    Raises:
        UserMistake: the configuration or the database is wrong, or the job cannot be tried.
    """
    settings = load_settings(options.config)
    with presented(settings):
        application = imported(settings)
        trial = try_job(settings, application, options.job, accepts_effects=options.yes)
    if options.json:
        say_json(trial)
    else:
        say("\n".join(_lines(trial)))
        if trial.error is not None:
            say("\nError")
            say_text(trial.error.rstrip())
    return 0 if trial.outcome == Completed.kind else 1


def _lines(trial: Trial) -> Iterator[str]:
    end = f"{trial.outcome} ({trial.seconds:g} s), and would be {trial.status.name}"
    yield f"job {trial.job}, tried as in section {trial.section}: {end}"
    undone = "all that it did in this database is rolled back"
    yield undone if trial.leak is None else f"NOT ALL IS ROLLED BACK: {cell(trial.leak)}"
    yield NOT_UNDONE
    for row in trial.rows:
        yield from _row(row)
    if trial.more_rows:
        yield f"and {trial.more_rows:,} more rows"
    for statement in trial.statements:
        yield _statement(statement)
    for mail in trial.mails:
        yield f"mail that was not sent: {cell(mail)}"
    if trial.actions:
        yield f"actions after the commit that were not done: {trial.actions}"


def _row(row: RowChange) -> Iterator[str]:
    yield f"{row.verb} {cell(row.table)} {cell(row.key)}"
    for column in row.columns:
        old, new = cell(column.old), cell(column.new)
        told = new if row.verb == "insert" else old if row.verb == "delete" else f"{old} -> {new}"
        yield f"  {cell(column.column)}: {told}"


def _statement(one: StatementCount) -> str:
    what = f"{one.verb} {cell(one.table)}" if one.text is None else cell(one.text)
    return f"{what}: statements: {one.statements:,}, rows: {one.rows:,} (not known which)"
