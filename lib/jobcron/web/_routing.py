"""What a page is given, and the list of pages; what every request has to pass is in `mounting`."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from flask import Request, Response, current_app, redirect, request, url_for
from markupsafe import Markup
from sqlalchemy import Connection

from jobcron._version import __version__
from jobcron.database.statements import expect_few_rows
from jobcron.web._access import FIELD, Visitor
from jobcron.web._dashboard import Dashboard
from jobcron.web._texts import environment

logger = logging.getLogger("jobcron.web")

STATIC = Path(__file__).parent / "static"

MAX_NUMBER = 2**63 - 1
"""The greatest number that a row can have."""

PLAIN = "/:@!$&'()*+,=~"
"""What stands in the paths of addresses as it is: no semicolon, which no path of a cookie can have."""

THEMES = ("auto", "light", "dark")

THEME_COOKIE = "jobcron_theme"


@dataclass
class Here:
    """A request, for whoever answers it.

    Attributes:
        dashboard: the instance.
        visitor: who asks.
        token: what the forms of the page have to send back.
    """

    dashboard: Dashboard
    visitor: Visitor
    token: str

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a short transaction that reads."""
        with self.dashboard.database.begin(writing=False) as connection:
            expect_few_rows(connection)  # of what reads a few rows of millions
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a short transaction that writes."""
        with self.dashboard.database.begin() as connection:
            yield connection

    def tell(self, what: str, *values: object) -> None:
        """Log what a visitor has done, after it was done, with who they are and from where.

        Args:
            what: a format of `logging`.
            values: its values.
        """
        logger.info(f"{what}; by %s from %s", *values, self.visitor.actor, request.remote_addr)

    def render(self, template: str, status: int = 200, **values: object) -> Response:
        """Return a page."""
        theme = request.cookies.get(THEME_COOKIE, "auto")
        text = (
            environment(self.dashboard.redactor)
            .get_template(template)
            .render(
                here=self,
                visitor=self.visitor,
                url=link,
                asset=asset,
                hidden=self.hidden(),
                theme=theme if theme in THEMES else "auto",
                themes=THEMES,
                broken=self.dashboard.broken,
                instance=Path(self.dashboard.settings.path).parent.name,
                version=__version__,
                page=(request.endpoint or "").rpartition(".")[2],
                root=root_of(request),
                address=_address() if request.method == "GET" else "",
                **values,
            )
        )
        return Response(text, status, mimetype="text/html")

    def hidden(self) -> Markup:
        """Return the fields that each form has to send: our token, and that of the host, if it has one."""
        fields = {FIELD: self.token}
        make = current_app.jinja_env.globals.get("csrf_token")  # of Flask-WTF
        if callable(make):
            fields[str(current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"))] = str(make())
        one = Markup('<input type="hidden" name="{}" value="{}">')
        return Markup("").join(one.format(name, value) for name, value in fields.items())


def _address() -> str:
    """Return the path and the query of the request as they stand in an address: no text of a row as it is."""
    query = quote(request.query_string, safe="%=&+;/?:@!$'()*,~")
    return quote(request.path, safe=PLAIN) + (f"?{query}" if query else "")


def root_of(asked: Request) -> str:
    """Return the path at which the application of a request is mounted, as it stands in addresses."""
    return quote(asked.script_root, safe=PLAIN)


def address_of(page: str, **values: object) -> str:
    """Return the address of a page as browsers ask for it, and as the path of a cookie; without None values.

    `url_for` leaves the path at which the application is mounted unquoted.
    """
    given = {name: value for name, value in values.items() if value is not None}
    found, root = url_for(f".{page}", **given), request.script_root  # type: ignore[arg-type]
    if found.startswith(f"{root}/"):
        found = root_of(request) + found.removeprefix(root)
    return found.replace(";", "%3B")


def link(page: str, **values: object) -> Markup:
    """Return the address of a page for a template; values that are None are left out."""
    return Markup.escape(address_of(page, **values))


def asset(name: str) -> Markup:
    """Return the address of a file; it changes with the file, so that browsers may keep it."""
    return link("static", filename=name, v=_print_of(name))


@cache
def _print_of(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def number_in(name: str) -> int | None:
    """Return a number of the address; None: there is none, or none that a row can have."""
    found = request.args.get(name, type=int)
    return found if found is not None and 0 < found <= MAX_NUMBER else None


def go_to(page: str, **values: object) -> Response:
    """Return an answer that leads to a page after something was done."""
    found = redirect(address_of(page, **values), 303)
    assert isinstance(found, Response)
    return found


_OWN = re.compile(r"/(?![/\\])[\x21-\x7e]*")


def is_own(address: str) -> bool:
    """Return whether an address is a path of this site, whatever a browser makes of it."""
    return _OWN.fullmatch(address) is not None


def back_of(asked: Request) -> str | None:
    """Return the page of this site from which a request came; None: from none."""
    try:
        came = urlsplit(asked.referrer or "")
    except ValueError:
        return None
    path = f"{came.path}?{came.query}" if came.query else came.path
    return path if came.netloc == asked.host and is_own(path) else None


View = Callable[..., Response]


class Route(NamedTuple):
    """A page, or what a form of a page does.

    Attributes:
        rule: its path.
        name: its name, for addresses.
        view: what answers; it gets a `Here` and what is in the path.
        method: GET, which changes nothing, or POST.
        is_for_readers: whether a reader may send it too.
    """

    rule: str
    name: str
    view: View
    method: str
    is_for_readers: bool


ROUTES: list[Route] = []


def page(rule: str) -> Callable[[View], View]:
    """Register what answers a GET."""
    return _registered(rule, "GET", is_for_readers=True)


def act(rule: str, *, is_for_readers: bool = False) -> Callable[[View], View]:
    """Register what answers a POST, of operators only unless it changes nothing but the browser's look."""
    return _registered(rule, "POST", is_for_readers=is_for_readers)


def _registered(rule: str, method: str, *, is_for_readers: bool) -> Callable[[View], View]:
    def note(view: View) -> View:
        ROUTES.append(Route(rule, view.__name__, view, method, is_for_readers))
        return view

    return note
