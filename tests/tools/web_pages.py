"""A visitor of the dashboard without a browser: it follows links and sends the forms that pages have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient

VOID = frozenset({"meta", "link", "input", "img", "br", "hr", "rect", "line", "circle", "path"})


@dataclass
class Form:
    """A form of a page.

    Attributes:
        action: where it is sent; empty: to the page.
        method: get or post.
        fields: its fields with their values: as they are sent if nobody changes them.
        buttons: the names and values of its buttons.
    """

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """A page that was answered.

    Attributes:
        status: of the answer.
        html: its text.
        headers: of the answer.
        forms: its forms.
        links: where its links lead.
        words: what people read.
        tags: the tags with their attributes, in order.
    """

    def __init__(self, status: int, html: str, headers: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self.status, self.html, self.headers = status, html, headers
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self._texts: list[str] = []
        self._area: str | None = None
        self._select: str | None = None
        self._button = False
        self.feed(html)
        self.words = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag is for."""
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        name = found.get("name") or ""
        match tag:
            case "form":
                self.forms.append(Form(found.get("action") or "", found.get("method") or "get"))
            case "a":
                self.links.append(found.get("href") or "")
            case "input" if self.forms and name and (found.get("type") != "checkbox" or "checked" in found):
                self.forms[-1].fields.append((name, found.get("value") or ""))
            case "textarea" if self.forms:
                self._area = name
                self.forms[-1].fields.append((name, ""))
            case "select" if self.forms:
                self._select = name
            case "option" if self._select is not None and "selected" in found:
                self.forms[-1].fields.append((self._select, found.get("value") or ""))
            case "button" if self.forms:
                self._button = True
                self.forms[-1].buttons.append((name, found.get("value") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        """Note what ends."""
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> ends {self.open[-1:] or 'nothing'}")
        else:
            self.open.pop()
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None
        if tag == "button":
            self._button = False

    def handle_data(self, data: str) -> None:
        """Keep what people read."""
        if self.open[-1:] in (["script"], ["style"]):
            return
        self._texts.append(data)
        if self._area is not None:
            name, value = self.forms[-1].fields[-1]
            self.forms[-1].fields[-1] = (name, value + data)
        if self._button and self.forms[-1].buttons:
            name, value, text = self.forms[-1].buttons[-1]
            self.forms[-1].buttons[-1] = (name, value, text + data)

    def form(self, ending: str, button: str = "") -> Form:
        """Return the form that is sent to an address with this ending, and has a button of this value if given."""
        found = [form for form in self.forms if urlsplit(form.action).path.endswith(ending)]
        if button:
            found = [form for form in found if button in [value for _, value, _ in form.buttons]]
        assert len(found) == 1, f"{len(found)} forms are sent to {ending} and have the button {button!r}"
        return found[0]


class Visitor:
    """Somebody who looks at the dashboard.

    Args:
        app: the application.
        environ: what a server would add to the environment of each request.
    """

    def __init__(self, app: Flask, environ: Mapping[str, str] | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self._environ = dict(environ or {})
        self.audience = {"Sec-Fetch-Site": "same-origin"}

    def look(self, path: str) -> Page:
        """Return what is answered, whatever the status is; redirections are followed."""
        answer = self.client.get(path, environ_overrides=self._environ)
        if answer.status_code == 303:
            return self.look(answer.headers["Location"])
        return Page(answer.status_code, answer.get_data(as_text=True), dict(answer.headers))

    def get(self, path: str, expect: int = 200) -> Page:
        """Return a page."""
        answer = self.client.get(path, environ_overrides=self._environ)
        if answer.status_code == 303:
            return self.get(answer.headers["Location"], expect)
        page = Page(answer.status_code, answer.get_data(as_text=True), dict(answer.headers))
        assert page.status == expect, f"{path}: {page.status}, expected {expect}\n{page.words}"
        return page

    def post(self, path: str, data: object, expect: int = 200, headers: Mapping[str, str] | None = None) -> Page:
        """Send a form as it is given."""
        sent = {**self.audience, **(headers or {})}
        body = urlencode(data, doseq=True)  # type: ignore[arg-type]
        answer = self.client.post(
            path, data=body, content_type="application/x-www-form-urlencoded", headers=sent,
            environ_overrides=self._environ,
        )  # fmt: skip
        if answer.status_code == 303:
            return self.get(answer.headers["Location"], expect)
        page = Page(answer.status_code, answer.get_data(as_text=True), dict(answer.headers))
        assert page.status == expect, f"{path}: {page.status}, expected {expect}\n{page.words}"
        return page

    def send(self, page: Page, ending: str, expect: int = 200, button: str = "", **values: object) -> Page:
        """Send a form of a page, with some values changed.

        Args:
            page: the page.
            ending: of the address that the form is sent to.
            expect: the status of the answer.
            button: the value of the button that is pressed.
            values: the changed values; a list: several of this name.
        """
        form = page.form(ending, button)
        kept = [(name, value) for name, value in form.fields if name not in values]
        new = [
            (name, one)
            for name, value in values.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        pressed = [(name, value) for name, value, _ in form.buttons if button and value == button]
        sent = [(name, str(value)) for name, value in [*kept, *new, *pressed]]
        if form.method == "post":
            return self.post(form.action, sent, expect)
        return self.get(f"{form.action}?{urlencode(sent)}", expect)


def without_times(text: str) -> str:
    """Return a text without what the clock changes."""
    return re.sub(r"\d+ (?:s|min|h|d)\b", "…", text)
