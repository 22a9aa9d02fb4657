"""``jobcron doctor``: name each problem of an instance, with its remedy."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json
from jobcron.errors import SchemaMismatch, UserMistake
from jobcron.operations.doctor import Finding, examine
from jobcron.queue.health import Health, worst_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Print the findings; return the status of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown."""
    try:
        with opened_database(options.config) as (settings, database), database.begin(writing=False) as connection:
            findings = examine(connection, settings)
    except SchemaMismatch as error:
        findings = [Finding("schema", Health.CRITICAL, str(error), error.remedy)]
    except UserMistake as error:
        findings = [Finding("instance", Health.UNKNOWN, str(error), "jobcron check-config")]
    worst = worst_of(finding.health for finding in findings)
    if options.json:
        say_json({"health": worst, "findings": findings})
        return int(worst)
    count = len(findings)
    summary = f"{count} finding{'s' * (count > 1)}" if findings else "nothing is wrong"
    say(f"JOBCRON {worst.name} - {summary}")
    for finding in findings:
        say(f"{finding.health.name:<8} {finding.check}: {cell(finding.text)}\n         -> {cell(finding.remedy)}")
    return int(worst)
