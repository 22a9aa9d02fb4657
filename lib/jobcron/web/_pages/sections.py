"""Sections: how they are, why, their runs; pauses of sections, types and queues."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from flask import Response, request
from sqlalchemy import Connection

from jobcron.errors import ConfigurationError
from jobcron.operations.asking import age_of, moment_of
from jobcron.operations.forecast.plan import plan_section
from jobcron.operations.pauses import Scope, current_pauses, pause, unpause
from jobcron.operations.processes.crontab import line_of
from jobcron.operations.processes.durations import JOBS, durations
from jobcron.operations.processes.trends import trends
from jobcron.operations.sections import RunState, recent_runs, section_state, section_states, type_states
from jobcron.operations.selection import sources_of
from jobcron.operations.why import explain_section
from jobcron.web._charts import WINDOWS, charts, spark
from jobcron.web._routing import Here, act, go_to, number_in, page

SPARKED = 1_000
"""How many of the newest runs the small charts are made of."""

SPARKS = 24
"""How many runs of a section a small chart shows."""

PLANNED = 10
"""How many jobs of the next run are shown."""


@page("/sections")
def sections(here: Here) -> Response:
    """List the sections, the types and the pauses."""
    settings = here.dashboard.settings
    with here.reading() as connection:
        return here.render(
            "sections.html",
            states=section_states(connection, settings),
            sparks=_sparks(connection),
            types=type_states(connection, settings),
            durations=durations(connection),
            looked=JOBS,
            pauses=current_pauses(connection),
        )


def _sparks(connection: Connection) -> dict[str, tuple[tuple[float, float, str], ...]]:
    runs: dict[str, list[RunState]] = defaultdict(list)
    for run in recent_runs(connection, limit=SPARKED):
        if len(runs[run.name]) < SPARKS:
            runs[run.name].append(run)
    return {name: spark(found) for name, found in runs.items()}


@page("/sections/<name>")
def section(here: Here, name: str) -> Response:
    """Show a section: how it is, why, what its next run would do, and its runs."""
    settings = here.dashboard.settings
    wanted = settings.section(name)
    window = WINDOWS.get(request.args.get("window", ""), WINDOWS["day"])
    below = number_in("below")
    with here.reading() as connection:
        why = explain_section(connection, settings, wanted)
        try:
            plan = plan_section(connection, settings, wanted, limit=PLANNED, why=why)
        except ConfigurationError:  # without the application nobody knows its source
            plan = None
        runs = recent_runs(connection, name, below=below, limit=50)
        became = trends(connection, window.length, window.count, [name], sources_of(settings, wanted))
        return here.render(
            "section.html",
            section=wanted,
            state=section_state(connection, settings, wanted),
            why=why,
            plan=plan,
            runs=runs,
            more=runs[-1].id if len(runs) == 50 else None,
            below=below,
            types=[one for one in type_states(connection, settings) if name in one.sections],
            durations=durations(connection),
            looked=JOBS,
            line=line_of(settings, wanted),
            pause=next((p for p in current_pauses(connection, Scope.SECTION) if p.name == name), None),
            charts=charts(window, became),
            is_complete=became.is_complete,
            window=window,
            windows=WINDOWS.values(),
        )


@act("/pauses")
def make_pause(here: Here) -> Response:
    """Pause a section, a type or a queue."""
    form = request.form
    scope, name = _scope(form.get("scope", "")), form.get("name", "").strip()
    reason, end = form.get("reason", "").strip() or None, form.get("until", "").strip()
    with here.writing() as connection:
        made = pause(
            connection, here.dashboard.settings, scope, name,
            until=_end(end), actor=here.visitor.actor, reason=reason,
        )  # fmt: skip
    here.tell("%s", made.pause)
    return _back(scope, name)


@act("/pauses/end")
def end_pause(here: Here) -> Response:
    """End a pause."""
    scope, name = _scope(request.form.get("scope", "")), request.form.get("name", "")
    with here.writing() as connection:
        unpause(connection, scope, name, here.visitor.actor)
    here.tell("end of the pause of the %s %r", scope, name)
    return _back(scope, name)


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise ConfigurationError(f"expected section, type, queue or channel, got: {text!r}") from None


def _end(text: str) -> datetime | timedelta | None:
    """Return when a pause ends: a time, or after how long; None: not by itself."""
    if not text:
        return None
    try:
        return age_of(text)
    except ValueError:
        pass
    try:
        return moment_of(text)
    except ValueError as error:
        raise ConfigurationError(
            f"Until: expected a duration such as 2h, or a time such as 2026-11-30T08:00+01:00, got: {text!r}"
        ) from error


def _back(scope: Scope, name: str) -> Response:
    if scope is Scope.SECTION:
        return go_to("section", name=name)
    return go_to("channels" if scope is Scope.CHANNEL else "sections")
