"""Who holds jobs now, the workers, and the newest runs."""

from __future__ import annotations

from flask import Response

from jobcron.operations.processes.runners import runner_states
from jobcron.operations.processes.workers import worker_states
from jobcron.operations.sections import RUNS, recent_runs
from jobcron.web._routing import Here, number_in, page


@page("/runners")
def runners(here: Here) -> Response:
    """List the runners, the workers, and the newest runs of all sections and scripts."""
    below = number_in("below")
    with here.reading() as connection:
        runs = recent_runs(connection, below=below)
        return here.render(
            "runners.html",
            runners=runner_states(connection, here.dashboard.settings),
            workers=worker_states(connection),
            runs=runs,
            more=runs[-1].id if len(runs) == RUNS else None,
            below=below,
        )
