"""The list of jobs: by status, by filters, by search; each view is a link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection

from jobcron.errors import ConfigurationError, NoSuchJob
from jobcron.interfaces import JobStatus
from jobcron.jobs.registry import registered
from jobcron.operations.details import find_job
from jobcron.operations.grouping import GROUPED_BY, group_jobs
from jobcron.operations.listing import (
    Count,
    Page,
    StartKey,
    StartPage,
    count_by_status,
    list_in_start_order,
    list_jobs,
    logs_of,
)
from jobcron.operations.selection import NEAREST, Selection, check_type
from jobcron.web._acts import BULK
from jobcron.web._filters import AGES, TEXTS, Filters, described, read_filters
from jobcron.web._routing import Here, go_to, number_in, page

_NUMBER = re.compile(r"#?(\d{1,18})")

_OOPS = re.compile(r"OOPS-[A-Za-z0-9_-]{1,200}")


SEARCHED = 200
"""How many jobs a reader's search of errors looks at for a page."""


ORDERS = {"": "Newest first", "oldest": "Oldest first", "start": "As they start"}
"""The orders that an index serves, by their names in addresses, and what they are called."""


@dataclass(frozen=True)
class Place:
    """The part of a list that an address asks for.

    Attributes:
        order: one of `ORDERS`.
        below: only jobs with smaller numbers.
        above: only jobs with greater numbers, in the order of the oldest.
        after: only jobs that start after the one of this place.
    """

    order: str
    below: int | None
    above: int | None
    after: StartKey | None

    @property
    def is_first(self) -> bool:
        """Whether it is the first page."""
        return self.below is None and self.above is None and self.after is None

    @property
    def named(self) -> dict[str, str]:
        """The order, for an address."""
        return {"order": self.order} if self.order else {}

    def going_on(self, found: Page | StartPage) -> dict[str, str] | None:
        """Return what leads to the next page; None: there is none."""
        match found.next:
            case None:
                return None
            case StartKey() as key:
                return {**self.named, "after": _written(key)}
            case number:
                return {**self.named, "above" if self.order == "oldest" else "below": str(number)}


@page("/jobs")
def jobs(here: Here) -> Response:
    """List the jobs that fit the filters, in an order that an index serves; or count them by what they share."""
    filters = read_filters(here.dashboard.settings, request.args)
    order = request.args.get("order", "")
    place = Place(order if order in ORDERS else "", number_in("below"), number_in("above"), _read_key())
    group = request.args.get("group")
    with here.reading() as connection:
        filters = _with_known_types(connection, filters)
        searches_shown = filters.selection.error is not None and not here.visitor.may_act
        if group is not None and not filters.mistakes:
            if searches_shown:
                raise ConfigurationError("Error has the text: readers get a list with it, and no groups.")
            grouping = group_jobs(connection, filters.selection, group, here.dashboard.settings)
            return here.render("groups.html", filters=filters, by=group, grouping=grouping, kinds=GROUPED_BY)
        found: Page | StartPage | None = None
        counts: Mapping[JobStatus, Count | None] = {}
        if searches_shown and not filters.mistakes:
            place = replace(place, order="")
            found = _with_shown_error(here, connection, filters.selection, place.below)
            counts = dict.fromkeys(JobStatus)
        elif not filters.mistakes:
            found = _listed(connection, filters.selection, place)
            counts = count_by_status(connection, filters.selection)
        return _shown(here, filters, found, counts, place)


def _with_known_types(connection: Connection, filters: Filters) -> Filters:
    """Return the filters, with a mistake for each type that nobody knows: its list would just be empty."""
    wrong = []
    for name in filters.selection.types:
        try:
            check_type(connection, name)
        except ConfigurationError as error:
            wrong.append(f"Type: {error}")
    return replace(filters, mistakes=(*filters.mistakes, *wrong))


def _shown(
    here: Here,
    filters: Filters,
    found: Page | StartPage | None,
    counts: Mapping[JobStatus, Count | None],
    place: Place,
) -> Response:
    is_waiting = filters.selection.statuses == (JobStatus.WAITING,)
    return here.render(
        "jobs.html",
        status=400 if filters.mistakes else 200,
        found=found,
        filters=filters,
        shown=list(described(filters)),
        statuses=filters.selection.statuses,
        counts=counts,
        place=place,
        going_on=None if found is None else place.going_on(found),
        orders={name: title for name, title in ORDERS.items() if name != "start" or is_waiting},
        types=sorted(registered()),
        sections=list(here.dashboard.settings.sections),
        texts=TEXTS,
        ages=AGES,
        acts=BULK,
        all_statuses=list(JobStatus),
        kinds=GROUPED_BY,
        nearest=NEAREST,
    )


def _listed(connection: Connection, selection: Selection, place: Place) -> Page | StartPage:
    match place.order:
        case "start":
            if selection.statuses != (JobStatus.WAITING,):
                raise ConfigurationError("As they start: expected the status waiting, of which this is the order.")
            return list_in_start_order(connection, selection, after=place.after)
        case "oldest":
            return list_jobs(connection, selection, above=place.above, is_oldest_first=True)
        case _:
            return list_jobs(connection, selection, below=place.below)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_KEY = re.compile(r"(-?[0-9]{1,10})_(-?[0-9]{1,18})_([0-9]{1,18})")


def _written(key: StartKey) -> str:
    """Return the place of a job for an address: times in microseconds, exactly."""
    return f"{key.priority}_{(key.scheduled_start - _EPOCH) // timedelta(microseconds=1)}_{key.id}"


def _read_key() -> StartKey | None:
    """Return the place that an address has; None: it has none.

    Raises:
        ConfigurationError: it is no place of a job.
    """
    text = request.args.get("after", "")
    found = _KEY.fullmatch(text)
    with suppress(OverflowError):
        if found is not None and abs(int(found[1])) < 1 << 31:
            return StartKey(int(found[1]), _EPOCH + timedelta(microseconds=int(found[2])), int(found[3]))
    if text:
        raise ConfigurationError(f"after: expected the place of a job, as the links have it, got: {text!r}")
    return None


def _with_shown_error(here: Here, connection: Connection, selection: Selection, below: int | None) -> Page:
    """Return those of a page of jobs whose error has the text where it is shown, without secrets.

    A search of what is stored would tell a reader whether a text is in a secret: so the secret, letter by letter.
    """
    looked = list_jobs(connection, replace(selection, error=None), below=below, limit=SEARCHED)
    logs = logs_of(connection, [job.id for job in looked.jobs])
    shown = {number: here.dashboard.redactor.text(log).casefold() for number, log in logs.items()}
    wanted = (selection.error or "").casefold()
    found = tuple(job for job in looked.jobs if wanted in shown.get(job.id, ""))
    return replace(looked, jobs=found, is_full=False)


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
