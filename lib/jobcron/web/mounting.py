"""Put the dashboard among the pages of an application: a WSGI application, or a blueprint of Flask."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from functools import partial, wraps

from flask import Blueprint, Flask, Response, g, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from jobcron.database.trouble import refused_right
from jobcron.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DirectoryError,
    NoSuchJob,
    SchemaMismatch,
    UserMistake,
)
from jobcron.web import _pages
from jobcron.web._access import (
    HEADERS,
    Authorize,
    Visitor,
    give_token,
    has_token,
    is_own_page,
    token_of,
    visitor_of,
)
from jobcron.web._dashboard import Dashboard
from jobcron.web._routing import MAX_NUMBER, Here, Route, address_of, back_of
from jobcron.web._texts import environment

__all__ = ["Authorize", "Visitor", "application", "blueprint"]

MAX_REQUEST = 1 << 20
"""The largest request, in bytes."""

MAX_FIELDS = 2_000
"""The most fields of a form."""

EXTENSION = "jobcron"
"""Where an application of Flask keeps its dashboards."""

PATH = re.compile(r"(?<![\w.:/])/[^\s:,;'\"]+")
"""A path of this host, which readers are not told."""

logger = logging.getLogger("jobcron.web")


def application(config: str | None = None, *, authorize: Authorize) -> Flask:
    """Return the dashboard of an instance as a WSGI application, to be mounted at any path.

    Args:
        config: the instance's directory, or its name, as for ``--config``; None: that of JOBCRON_CONFIG.
        authorize: says who a request is from, given its WSGI environment: ``"operator"``, who may look and act,
            ``"reader"``, who may look, a `Visitor` with one of these roles, or None, who gets nothing. The name in
            the audit is the visitor's, else REMOTE_USER.

    Raises:
        ConfigurationError: the configuration is wrong.
    """
    app = Flask("jobcron.web", static_folder=None)
    app.url_map.merge_slashes = False  # it would lead whoever asks for //x to the host that the request names
    app.register_blueprint(blueprint(config, authorize=authorize))
    app.register_error_handler(HTTPException, _plain)
    return app


def blueprint(config: str | None = None, *, authorize: Authorize, name: str = "jobcron") -> Blueprint:
    """Return the dashboard of an instance as a blueprint, for ``app.register_blueprint(…, url_prefix="/jobs")``.

    Args:
        config: as of `application`.
        authorize: as of `application`; it is called in the request's context, so that it can ask for the host's
            ``current_user`` or ``session``.
        name: the blueprint's name, for a second one in the same application.

    Raises:
        ConfigurationError: the configuration is wrong.
    """
    dashboard = Dashboard(config, authorize)
    made = Blueprint(name, "jobcron.web", static_folder="static", static_url_path="/static")
    for route in _pages.ROUTES:
        made.add_url_rule(route.rule, route.name, _answering(dashboard, route), methods=[route.method])
    made.record(partial(_mounted, dashboard))
    made.before_request(_bound_request)
    made.after_request(_secured)
    for kind in (HTTPException, UserMistake, Exception):
        made.register_error_handler(kind, partial(_failed, dashboard))
    return made


def _mounted(dashboard: Dashboard, state: BlueprintSetupState) -> None:
    """Note that an application shows a dashboard.

    Raises:
        ConfigurationError: the path has variables, which no page knows.
    """
    if "<" in (state.url_prefix or ""):
        raise ConfigurationError(f"expected an url_prefix without variables, got: {state.url_prefix!r}")
    state.app.extensions.setdefault(EXTENSION, []).append(dashboard)


def routes() -> tuple[Route, ...]:
    """Return the pages, and what their forms are sent to: for whoever looks at, or measures, every one of them."""
    return tuple(_pages.ROUTES)


def close(app: Flask) -> None:
    """Close the connections of an application's dashboards that are not in use."""
    for dashboard in app.extensions.get(EXTENSION, ()):
        dashboard.database.close()


def _bound_request() -> None:
    g.pop("jobcron_here", None)  # an application's context may outlive a request
    g.pop("jobcron_token", None)
    request.max_content_length = MAX_REQUEST
    request.max_form_parts = MAX_FIELDS


def _answering(dashboard: Dashboard, route: Route) -> Callable[..., Response]:
    """Return a function, with the name and the module that extensions of Flask ask it for."""

    @wraps(route.view)
    def answer(**found: object) -> Response:
        return _answer(dashboard, route, found)

    return answer


def _answer(dashboard: Dashboard, route: Route, found: dict[str, object]) -> Response:
    """Answer a request, if it passes: who it is from, what they may do, and which page it comes from."""
    visitor = visitor_of(dashboard.authorize, request.environ)
    if visitor is None:
        return _refused(
            dashboard,
            403,
            "You have no access to this dashboard.",
            "Log in to the application or proxy that it is part of.",
        )
    here = Here(dashboard, visitor, token_of(request))
    if route.method == "POST" and not (is_own_page(request) and has_token(request)):
        told = "This form does not come from a page of the dashboard, or is older than your browser's session."
        return _refused(dashboard, 403, told, "Go back, load the page again, and repeat it.")
    g.jobcron_here, g.jobcron_token = here, here.token  # a refusal has the frame of a page from here on
    if route.method == "POST" and not (route.is_for_readers or visitor.may_act):
        return _refused(dashboard, 403, "You may look, and not act.", "Ask somebody who is an operator.")
    texts = [*request.args.values(), *request.form.values(), *map(str, found.values())]
    if any("\0" in text for text in texts):
        return _refused(dashboard, 400, "No text of the database has the character NUL.", "")
    if any(isinstance(value, int) and value > MAX_NUMBER for value in found.values()):
        return _refused(dashboard, 404, "No row has so great a number.", "")
    dashboard.open()
    try:
        return route.view(here, **found)
    except Exception as error:
        if route.method == "POST" and not route.is_for_readers:
            here.tell("%s, which failed with %s: %s", route.name, type(error).__name__, error)
        raise


def _secured(response: Response) -> Response:
    """Add what browsers have to know, and the token for the forms of this browser."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    if request.endpoint and request.endpoint.endswith(".static"):
        if "v" in request.args:
            response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    elif "jobcron_token" in g:
        give_token(response, g.jobcron_token, address_of("overview"), is_secure=request.is_secure)
    return response


def _failed(dashboard: Dashboard, error: Exception) -> Response:
    """Answer a request that cannot be answered, without anything of the inside."""
    match error:
        case RequestEntityTooLarge():
            return _refused(dashboard, 413, "That is too large.", f"A form can have {MAX_REQUEST >> 10} KiB.")
        case HTTPException():
            return _refused(dashboard, error.code or 500, error.name, "")
        case NoSuchJob():
            return _refused(dashboard, 404, str(error), "It may have been pruned.")
        case DirectoryError():
            return _refused(dashboard, 404, str(error), "It may have been pruned, or be on another host.")
        case DatabaseUnavailable() | SchemaMismatch():
            logger.error("%s", error)
            told = "The database cannot be used now."
            return _refused(dashboard, 503, told, "The log of the dashboard says why.")
        case UserMistake():
            return _refused(dashboard, 400, str(error), "")
    refused = refused_right(error)
    if refused is not None:
        logger.error("%s", refused)
        told = "The database role of the dashboard lacks a right for this."
        return _refused(dashboard, 503, told, "The log of the dashboard says which.")
    number = secrets.token_hex(4)
    logger.error("%s %s failed, %s", request.method, request.path, number, exc_info=error)
    return _refused(dashboard, 500, "Something went wrong.", f"The log of the dashboard has it as {number}.")


def _refused(dashboard: Dashboard, status: int, told: str, remedy: str) -> Response:
    here = g.get("jobcron_here")
    if isinstance(here, Here):
        shown = told if here.visitor.may_act else PATH.sub("…", told)
        return here.render("refusal.html", status, told=shown, remedy=remedy, number=status, back=back_of(request))
    template = environment(dashboard.redactor).get_template("refused.html")
    text = template.render(told=told, remedy=remedy, status=status)
    return Response(text, status, mimetype="text/html")


def _plain(error: HTTPException) -> Response:
    """Answer for a path that is none of the dashboard's."""
    response = Response(f"{error.code} {error.name}\n", error.code or 500, mimetype="text/plain")
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
