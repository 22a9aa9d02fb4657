"""``jobcron sections``: the state of each section."""

from __future__ import annotations

import argparse

from sqlalchemy import Connection

from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_table
from jobcron.commands.jobs._watch import add_watch, look
from jobcron.operations.pauses import Pause, Scope, current_pauses
from jobcron.operations.sections import SectionState, section_states
from jobcron.settings.settings import Settings

HEADS = (
    *("section", "state", "last run (UTC)", "next due (UTC)", "late by", "ready", "oldest ready", "running"),
    *("failed in 1 h", "lock held by", "findings"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_watch(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Show the sections, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """

    def ask(settings: Settings, connection: Connection) -> tuple[list[SectionState], list[Pause]]:
        return section_states(connection, settings), current_pauses(connection)

    def tell(found: tuple[list[SectionState], list[Pause]]) -> None:
        states, pauses = found
        if options.json:
            say_json({"sections": states, "pauses": pauses})
            return
        rows = [
            (
                *(s.name, s.health, s.last_run, s.next_run, s.late, s.ready, s.oldest_ready, s.running),
                *(s.failed, s.cluster_holder or s.lock_holder, "; ".join(s.findings)),
            )
            for s in states
        ]
        say_table(HEADS, rows)
        for pause in pauses:
            if pause.scope in (Scope.QUEUE, Scope.CHANNEL):  # no section's own
                say(f"# {cell(pause)}")

    return look(options, ask, tell)
