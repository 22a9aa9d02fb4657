"""Schedules: what they create, when, and why not."""

from __future__ import annotations

from contextlib import closing

from flask import Response, request

from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError, DuplicateJob, InvalidJobData, UnknownJobType
from jobcron.operations.schedules import acts
from jobcron.operations.schedules.slots import next_slots, past_slots
from jobcron.operations.why import explain_schedule
from jobcron.web._acts import reason_of
from jobcron.web._routing import Here, act, go_to, page

COMING = 5
"""How many slots that come are shown."""

PAST = 20
"""How many of the newest slots are shown of which something was decided."""


@page("/schedules")
def schedules(here: Here) -> Response:
    """List the schedules."""
    with here.reading() as connection:
        return here.render("schedules.html", states=acts.schedule_states(connection))


@page("/schedules/<path:name>")
def schedule(here: Here, name: str) -> Response:
    """Show a schedule, and why it creates jobs or does not."""
    with here.reading() as connection:
        row = acts.find_schedule(connection, name)
        return here.render(
            "schedule.html",
            state=acts.schedule_state(connection, row),
            why=explain_schedule(connection, here.dashboard.settings, name),
            coming=next_slots(row, COMING),
            past=past_slots(connection, row, PAST),
        )


@act("/schedules/act")
def act_on_schedule(here: Here) -> Response:
    """Pause or resume a schedule, or create a job of it now."""
    name, what = request.form.get("name", ""), request.form.get("act", "")
    match what:
        case "pause":
            with here.writing() as connection:
                acts.pause(connection, name, here.visitor.actor, reason_of(request.form))
        case "resume":
            with here.writing() as connection:
                acts.resume(connection, name, here.visitor.actor)
        case "run":
            number = _run(here, name)
            here.tell("run of the schedule %r: job %d", name, number)
            return go_to("job", number=number)
        case _:
            raise ConfigurationError(f"expected pause, resume or run, got: {what!r}")
    here.tell("%s of the schedule %r", what, name)
    return go_to("schedule", name=name)


def _run(here: Here, name: str) -> int:
    with closing(here.dashboard.database.session()) as session, use_session(session):
        try:
            number = acts.run_now(session, name, requester=here.visitor.actor)
        except (InvalidJobData, UnknownJobType, DuplicateJob) as error:
            raise ConfigurationError(f"schedule {name}: {error}") from error
        session.commit()
    return number
