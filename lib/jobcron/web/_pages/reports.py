"""Reports: grouped by their cause, and one by one."""

from __future__ import annotations

import re

from flask import Response

from jobcron.errors import DirectoryError
from jobcron.operations.oopses import find_report, group_reports, newest_reports
from jobcron.web._routing import Here, page

_OOPS_ID = re.compile(r"OOPS-[A-Za-z0-9_-]{1,200}")

GROUPED = 500
"""How many of the newest reports are grouped: each is a file that is read."""

FACTS = ("time", "hostname", "reporter", "duration")


@page("/reports")
def reports(here: Here) -> Response:
    """Group the newest reports of this host by their cause, and list some."""
    settings = here.dashboard.settings
    groups, newest = group_reports(settings, GROUPED), list(newest_reports(settings))
    return here.render("reports.html", groups=groups, newest=newest, most=GROUPED)


@page("/reports/<oops_id>")
def report(here: Here, oops_id: str) -> Response:
    """Show a report."""
    if not _OOPS_ID.fullmatch(oops_id):
        raise DirectoryError("expected the id of a report, such as OOPS-J5-1-0a1b2c3d")
    found = find_report(here.dashboard.settings, oops_id)
    text = found.get("tb_text") or ""
    variables = found.get("req_vars")
    return here.render(
        "report.html",
        report=found,
        facts=[(name, found[name]) for name in FACTS if found.get(name) is not None],
        variables=list(variables.items()) if isinstance(variables, dict) else [],
        traceback="\n".join(map(str, text)) if isinstance(text, list) else str(text),
        timeline=_timeline(found.get("timeline")),
    )


def _timeline(found: object) -> list[tuple[object, ...]]:
    """Return the statements of a report: from, to, kind, text; what is not one is left out."""
    if not isinstance(found, list):
        return []
    return [tuple(line[:4]) for line in found if isinstance(line, list | tuple) and len(line) >= 4]
