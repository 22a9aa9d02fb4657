"""Who may look, who may act, and from which pages: the checks of every request."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Request, Response

from jobcron.errors import UserMistake
from jobcron.jobs.hand_moves import operator_name
from jobcron.reports.complaints import visible
from jobcron.settings.secrets import storable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

OPERATOR = "operator"
READER = "reader"

USER_LENGTH = 200
"""The longest name of a user that is recorded, in characters."""

FIELD = "jobcron_csrf"
"""The field of forms, and the cookie, that have the token against forged requests."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then say "Origin: null" for the dashboard's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""What each answer says to browsers, so that nothing of a page runs, is framed, or is kept."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who may look at the dashboard.

    Attributes:
        role: ``operator``, who may look and act, or ``reader``, who may look.
        user: the name that is recorded with what they do; None: REMOTE_USER of the request, if it has one.
    """

    role: str
    user: str | None = None

    @property
    def may_act(self) -> bool:
        """Whether they may change anything."""
        return self.role == OPERATOR

    @property
    def actor(self) -> str:
        """The name in histories and in the list of acts."""
        return f"web:{self.user[:USER_LENGTH]}" if self.user else f"web:{operator_name()}"


Authorize = Callable[["WSGIEnvironment"], Visitor | str | None]
"""Says who a request is from, given its WSGI environment: a `Visitor` or a role; None: nobody who may look."""


def visitor_of(authorize: Authorize, environ: WSGIEnvironment) -> Visitor | None:
    """Return who a request is from; None: nobody who may look.

    Raises:
        TypeError: `authorize` returned something else. Whoever asks is told nothing of it.
        RuntimeError: it made a mistake with jobcron itself; neither is this told to whoever asks.
        Exception: whatever else it raises, such as an answer of Flask's ``abort``.
    """
    try:
        found = authorize(environ)
    except UserMistake as error:  # of an operator its text would be shown
        raise RuntimeError(f"authorize failed with {type(error).__name__}") from error
    if found is None:
        return None
    visitor = Visitor(found) if isinstance(found, str) else found
    if not isinstance(visitor, Visitor) or visitor.role not in (OPERATOR, READER):
        raise TypeError(
            f"expected authorize to return {OPERATOR!r}, {READER!r}, a Visitor or None, got: {found!r}"
        )
    return Visitor(visitor.role, _name_of(visitor.user or environ.get("REMOTE_USER")))


def _name_of(user: object) -> str | None:
    """Return a user's name in one line that every database, log and page can have; None: there is none.

    Raises:
        TypeError: it is no text, such as the number of an account.
    """
    if user is not None and not isinstance(user, str):
        raise TypeError(f"expected authorize to return a Visitor whose user is text or None, got: {user!r}")
    return visible(storable(" ".join((user or "").split()))) or None


def is_own_page(request: Request) -> bool:
    """Return whether a request comes from a page of this site, as far as the browser tells.

    Browsers send Sec-Fetch-Site to loopback and over HTTPS, else only Origin, and old ones neither: then the token
    alone decides.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def has_token(request: Request) -> bool:
    """Return whether a form has the token that this browser's cookie has."""
    expected, given = request.cookies.get(FIELD, ""), request.form.get(FIELD, "")
    return len(expected) >= 32 and hmac.compare_digest(expected.encode(), given.encode())


def token_of(request: Request) -> str:
    """Return the token of this browser, or a new one."""
    known = request.cookies.get(FIELD, "")
    return known if len(known) >= 32 else secrets.token_urlsafe(32)


def give_token(response: Response, token: str, path: str, *, is_secure: bool) -> None:
    """Let the browser keep its token for as long as it runs."""
    response.set_cookie(FIELD, token, path=path, secure=is_secure, httponly=True, samesite="Strict")
