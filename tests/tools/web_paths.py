"""Every page and every form of the dashboard, by the names of its routes.

What looks at all of them asks here, and here asks the dashboard: a page that is new has to be added, or nothing
that looks at all pages goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jobcron.web.mounting import routes

Parts = Mapping[str, object]
"""What stands in braces in the addresses: see the fixture `full`."""

PAGES: dict[str, tuple[str, ...]] = {
    "overview": ("/", "/?window=week"),
    "jobs": (
        "/jobs",
        "/jobs?status=failed&error=no",
        "/jobs?status=nope",
        "/jobs?order=oldest",
        "/jobs?status=waiting&type=foo_job.ACT&order=start",
        "/jobs?graph={member}",
        "/jobs?group=type",
        "/jobs?group=error",
        "/jobs?group=day",
        "/jobs?group=channel",
    ),
    "job": ("/jobs/{job}", "/jobs/{member}", "/jobs/{running}", "/jobs/999999"),
    "search": ("/search?q={job}", "/search?q=00000000-0000-4000-8000-000000000000"),
    "sections": ("/sections",),
    "section": ("/sections/act", "/sections/act?window=week"),
    "schedules": ("/schedules",),
    "schedule": ("/schedules/nightly",),
    "channels": ("/channels",),
    "runners": ("/runners",),
    "reports": ("/reports",),
    "report": ("/reports/{report}",),
    "doctor": ("/doctor",),
    "audit": ("/audit",),
    "new_job": ("/new", "/new?name=foo_job.DO_FOO"),
}


class Filled(NamedTuple):
    """A form as an operator fills it in.

    Attributes:
        path: where it is sent.
        values: its fields, without the token.
    """

    path: str
    values: dict[str, str]


FORMS: dict[str, tuple[Filled, ...]] = {
    "act_on_jobs": (Filled("/act", {"act": "retry", "id": "{job}", "confirmed": "yes"}),),
    "make_pause": (
        Filled("/pauses", {"scope": "section", "name": "act"}),
        Filled("/pauses", {"scope": "type", "name": "foo_job.ACT"}),
        Filled("/pauses", {"scope": "channel", "name": "root.export"}),
    ),
    "end_pause": (Filled("/pauses/end", {"scope": "queue", "name": "letters"}),),
    "act_on_schedule": (
        Filled("/schedules/act", {"name": "nightly", "act": "pause"}),
        Filled("/schedules/act", {"name": "nightly", "act": "resume"}),
    ),
    "change_limits": (
        Filled("/channels/limits", {"name": "root.new", "act": "set", "capacity": "3"}),
        Filled("/channels/limits", {"name": "root.export", "act": "reset"}),
    ),
    "skip_turns": (Filled("/channels/skip", {"name": "root.ordered"}),),
    "undo": (Filled("/audit/{act}/undo", {"confirmed": "yes"}),),
    "create": (Filled("/new/job", {"name": "foo_job.DO_FOO", "target": "1", "priority": "9", "queue": "mail"}),),
    "look": (Filled("/look", {"theme": "dark"}),),
}  # fmt: skip

LOOK = "look"
"""The only form that readers may send: it changes nothing but the look of pages in one browser."""


def _checked(names: Mapping[str, object], method: str) -> None:
    asked = {route.name for route in routes() if route.method == method}
    assert names.keys() == asked, f"tests/tools/web_paths.py lacks, or has too many: {names.keys() ^ asked}"


def every_page(parts: Parts) -> list[str]:
    """Return the paths of all pages."""
    _checked(PAGES, "GET")
    return [path.format(**parts) for paths in PAGES.values() for path in paths]


def every_form(parts: Parts, *, without: str | None = None) -> list[Filled]:
    """Return all forms, perhaps without that of one route."""
    _checked(FORMS, "POST")
    return [
        Filled(path.format(**parts), {name: value.format(**parts) for name, value in values.items()})
        for route, forms in FORMS.items()
        for path, values in forms
        if route != without
    ]


ANY: Parts = {"job": 1, "member": 2, "running": 3, "act": 4, "report": "OOPS-J1-1-0a1b2c3d"}
"""Parts of addresses, for whoever gets no answer from them."""
