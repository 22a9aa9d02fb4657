"""The list of jobs: by status, by filters, by search; each view is a link."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection

from jobcron.errors import ConfigurationError, NoSuchJob
from jobcron.interfaces import JobStatus
from jobcron.jobs.registry import registered
from jobcron.operations.details import find_job
from jobcron.operations.grouping import GROUPED_BY, group_jobs
from jobcron.operations.listing import Count, Page, count_by_status, list_jobs, logs_of
from jobcron.operations.selection import Selection
from jobcron.web._acts import BULK
from jobcron.web._filters import AGES, TEXTS, described, read_filters
from jobcron.web._routing import Here, go_to, number_in, page

_NUMBER = re.compile(r"#?(\d{1,18})")

_OOPS = re.compile(r"OOPS-[A-Za-z0-9_-]{1,200}")


SEARCHED = 200
"""How many jobs a reader's search of errors looks at for a page."""


@page("/jobs")
def jobs(here: Here) -> Response:
    """List the jobs that fit the filters, the newest first."""
    filters = read_filters(here.dashboard.settings, request.args)
    below = number_in("below")
    group = request.args.get("group")
    with here.reading() as connection:
        searches_shown = filters.selection.error is not None and not here.visitor.may_act
        if group is not None and not filters.mistakes:
            if searches_shown:
                raise ConfigurationError("Error has the text: readers get a list with it, and no groups.")
            grouping = group_jobs(connection, filters.selection, group)
            return here.render("groups.html", filters=filters, by=group, grouping=grouping, kinds=GROUPED_BY)
        found: Page | None = None
        counts: Mapping[JobStatus, Count | None] = {}
        if searches_shown and not filters.mistakes:
            found = _with_shown_error(here, connection, filters.selection, below)
            counts = dict.fromkeys(JobStatus)
        elif not filters.mistakes:
            found = list_jobs(connection, filters.selection, below=below)
            counts = count_by_status(connection, filters.selection)
        return here.render(
            "jobs.html",
            status=400 if filters.mistakes else 200,
            found=found,
            filters=filters,
            shown=list(described(filters)),
            statuses=filters.selection.statuses,
            counts=counts,
            below=below,
            types=sorted(registered()),
            sections=list(here.dashboard.settings.sections),
            texts=TEXTS,
            ages=AGES,
            acts=BULK,
            all_statuses=list(JobStatus),
            kinds=GROUPED_BY,
        )


def _with_shown_error(here: Here, connection: Connection, selection: Selection, below: int | None) -> Page:
    """Return those of a page of jobs whose error has the text where it is shown, without secrets.

    A search of what is stored would tell a reader whether a text is in a secret: so the secret, letter by letter.
    """
    looked = list_jobs(connection, dataclasses.replace(selection, error=None), below=below, limit=SEARCHED)
    logs = logs_of(connection, [job.id for job in looked.jobs])
    shown = {number: here.dashboard.redactor.text(log).casefold() for number, log in logs.items()}
    wanted = (selection.error or "").casefold()
    return Page(tuple(job for job in looked.jobs if wanted in shown.get(job.id, "")), looked.next, is_full=False)


@page("/search")
def search(here: Here) -> Response:
    """Lead to what somebody looks for: a job's number or UUID, a report, or a text of errors."""
    text = request.args.get("q", "").strip()
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return go_to("job", number=int(number[1]))
    try:
        uuid = UUID(text)
    except ValueError:
        named = "oops" if _OOPS.fullmatch(text) else "error"
        return go_to("jobs", **{named: text or None})
    with here.reading() as connection:
        try:
            return go_to("job", number=find_job(connection, uuid))
        except NoSuchJob as error:
            return here.render("nothing.html", 404, told=str(error))
