"""The form that creates a job."""

from __future__ import annotations

from contextlib import closing

from flask import Response, request
from sqlalchemy.exc import DBAPIError

from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError, DuplicateJob, InvalidJobData, UnknownJobType
from jobcron.functions.creating import create_by_hand, refusal_of
from jobcron.web._forms import PREFIX, Creatable, RowForm, arguments_of, creatable, creatable_names, form_for
from jobcron.web._routing import Here, act, go_to, page


@page("/new")
def new_job(here: Here) -> Response:
    """Ask for the type, and then for what it takes."""
    name = request.args.get("name")
    if name is None:
        return here.render("new.html", names=creatable_names(), wanted=None, form=None, prefix=PREFIX, error=None)
    wanted = _wanted(name)
    return _shown(here, wanted, form_for(wanted)(), None)


@act("/new/job")
def create(here: Here) -> Response:
    """Create the job."""
    wanted = _wanted(request.form.get("name", ""))
    form = form_for(wanted)(request.form)
    if not form.validate():
        return _shown(here, wanted, form, None)
    try:
        number = _created(here, wanted, form)
    except (InvalidJobData, UnknownJobType, DuplicateJob) as error:
        return _shown(here, wanted, form, str(error))
    except DBAPIError as error:  # a rule of a table of the application, for example
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return _shown(here, wanted, form, f"The database refuses it: {refusal}")
    here.tell("creation of a %s: job %d", wanted.name, number)
    return go_to("job", number=number)


def _created(here: Here, wanted: Creatable, form: RowForm) -> int:
    with closing(here.dashboard.database.session()) as session, use_session(session):
        number = create_by_hand(
            session,
            wanted.name,
            arguments_of(form, wanted),
            actor=here.visitor.actor,
            target=(form.target.data or None) if wanted.has_target else None,
            requester=here.visitor.actor,
            **form.values(),
        )
        session.commit()
    return number


def _wanted(name: str) -> Creatable:
    found = creatable(name)
    if found is None:
        raise ConfigurationError(f"expected a job type or a function of the application, got: {name!r}")
    return found


def _shown(here: Here, wanted: Creatable, form: RowForm, error: str | None) -> Response:
    status = 400 if error or form.errors else 200
    return here.render(
        "new.html", status, names=creatable_names(), wanted=wanted, form=form, prefix=PREFIX, error=error
    )
