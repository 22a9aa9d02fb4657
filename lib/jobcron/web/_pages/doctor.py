"""What is wrong with the instance."""

from __future__ import annotations

from flask import Response

from jobcron.operations.doctor import examine
from jobcron.queue.health import worst_of
from jobcron.web._routing import Here, page


@page("/doctor")
def doctor(here: Here) -> Response:
    """Show each trouble with its remedy."""
    with here.reading() as connection:
        findings = examine(connection, here.dashboard.settings)
    worst = worst_of(finding.health for finding in findings)
    return here.render("doctor.html", findings=findings, worst=worst)
