"""The page of one job."""

from __future__ import annotations

import json
from contextlib import closing, suppress

from flask import Response
from sqlalchemy import Connection

from jobcron.database.tables import jobs_connection
from jobcron.errors import ConfigurationError
from jobcron.operations.details import JobDetails, about_job, job_details
from jobcron.operations.reasons import Cause, Explanation
from jobcron.operations.undo import ActState, find_act
from jobcron.operations.why import explain_job
from jobcron.web._acts import offers_for
from jobcron.web._graph import HEIGHT, WIDTH, drawn
from jobcron.web._routing import Here, number_in, page


@page("/jobs/<int:number>")
def job(here: Here, number: int) -> Response:
    """Show everything about a job."""
    with closing(here.dashboard.database.session(writing=False)) as session:
        connection = jobs_connection(session)
        found = job_details(connection, number)
        why = explain_job(connection, number, here.dashboard.settings)
        about = about_job(session, number, here.dashboard.settings)
        did = _act(connection)
    return here.render(
        "job.html",
        job=found,
        why=why,
        verdict=verdict(found, why),
        about=about,
        arguments=list((about.arguments or found.data).items()),
        target=about.target or (None if found.target_id is None else f"{found.target_type} {_key(found)}"),
        offers=offers_for(found.status),
        did=did,
        graph=drawn(found),
        box=(WIDTH, HEIGHT),
        steps=list((found.steps or {}).items()),
    )


def verdict(found: JobDetails, why: Explanation) -> str:
    """Return in a sentence whether a job runs."""
    if any(reason.cause is Cause.RUNNING for reason in why.reasons):
        return "It is running."
    if why.is_runnable:
        return "It runs at the next opportunity."
    if found.date_finished is not None:
        return f"It has ended: {found.status.description}"
    return "It does not run."


def _act(connection: Connection) -> ActState | None:
    """Return the act that has led here; None: there is none, or none any more."""
    number = number_in("act")
    with suppress(ConfigurationError):
        return None if number is None else find_act(connection, number)
    return None


def _key(found: JobDetails) -> str:
    """Return the key of a job's target as people write it."""
    try:
        key = json.loads(found.target_id or "")
    except ValueError:
        return found.target_id or ""
    return ", ".join(map(str, key)) if isinstance(key, list) else str(key)
