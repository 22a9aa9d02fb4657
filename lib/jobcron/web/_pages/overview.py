"""The first page: what needs attention, the sections, and what became of jobs."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, request

from jobcron.interfaces import JobStatus
from jobcron.operations.listing import count_by_status, list_jobs
from jobcron.operations.pauses import Scope, current_pauses
from jobcron.operations.processes.runners import runner_states
from jobcron.operations.processes.trends import trends
from jobcron.operations.processes.workers import worker_states
from jobcron.operations.sections import section_states
from jobcron.operations.selection import Selection
from jobcron.queue.health import Health
from jobcron.web._charts import WINDOWS, charts
from jobcron.web._routing import THEME_COOKIE, THEMES, Here, act, go_to, is_own, page, root_of

FAILED = 5
"""How many of the newest failures are shown."""

RECENT = timedelta(days=1)


@page("/")
def overview(here: Here) -> Response:
    """Show what needs attention, the sections, and what became of jobs."""
    settings = here.dashboard.settings
    window = WINDOWS.get(request.args.get("window", ""), WINDOWS["day"])
    failures = Selection(statuses=(JobStatus.FAILED,), ended_within=RECENT)
    with here.reading() as connection:
        states = section_states(connection, settings)
        pauses = current_pauses(connection)
        became = trends(connection, window.length, window.count, settings.sections)
        return here.render(
            "overview.html",
            states=states,
            paused={pause.name: pause for pause in pauses if pause.scope is Scope.SECTION},
            other_pauses=[pause for pause in pauses if pause.scope is not Scope.SECTION],
            ill=[state for state in states if state.health is not Health.OK],
            dead_workers=[worker for worker in worker_states(connection) if worker.death is not None],
            dead=[runner for runner in runner_states(connection, settings) if runner.death is not None],
            counts=count_by_status(connection, Selection()),
            failed=list_jobs(connection, failures, limit=FAILED),
            charts=charts(window, became),
            is_complete=became.is_complete,
            window=window,
            windows=WINDOWS.values(),
        )


@act("/look", is_for_readers=True)
def look(here: Here) -> Response:
    """Keep which colours this browser wants; nothing else changes."""
    theme = request.form.get("theme", "")
    answer = go_to("overview")
    root = answer.location
    back = request.form.get("back", "")
    if is_own(back):
        answer.location = root_of(request) + back
    if theme in THEMES:
        answer.set_cookie(THEME_COOKIE, theme, path=root, max_age=31536000, httponly=True, samesite="Strict")
    return answer
