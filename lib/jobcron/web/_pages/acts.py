"""Acts on jobs: what they would be about, and doing them."""

from __future__ import annotations

import dataclasses

from flask import Response, request

from jobcron.errors import ConfigurationError
from jobcron.operations.acts import Bulk, act_on_selection, count_meant
from jobcron.operations.listing import newest_number
from jobcron.operations.selection import Selection
from jobcron.web._acts import MOST, act_of, gathered, int_of, reason_of
from jobcron.web._filters import Filters, described, read_filters
from jobcron.web._routing import Here, act, go_to

TOLD = 100
"""How many numbers of jobs the log has."""


@act("/act")
def act_on_jobs(here: Here) -> Response:
    """Say how many jobs an act is about; when that is confirmed, do it."""
    form = request.form
    filters = read_filters(here.dashboard.settings, form)
    ids = tuple(dict.fromkeys(number for number in form.getlist("id", type=int) if 0 < number < 2**63))
    is_confirmed = form.get("confirmed") == "yes"
    selection = Selection(ids=ids) if ids else filters.selection
    if filters.mistakes:
        raise ConfigurationError("; ".join(filters.mistakes))
    if not selection or not (ids or form.get("all") == "yes"):
        raise ConfigurationError("Choose some jobs, or a status or another filter and then all that match.")
    newest = int_of(form, "newest")
    if not is_confirmed or not (ids or newest):
        return _asked(here, selection, ids, filters)
    offer, what = act_of(form)
    if not ids:
        selection = dataclasses.replace(selection, up_to=newest)
        with here.reading() as connection:
            count = count_meant(connection, what, selection)
        if count.number > (int_of(form, "count") or 0):
            return _asked(here, selection, ids, filters, has_grown=True)
    how = Bulk(actor=here.visitor.actor, reason=reason_of(form), limit=MOST)
    result = gathered(offer.name, offer.title, act_on_selection(here.dashboard.database, what, selection, how))
    which = f"jobs {', '.join(map(str, ids[:TOLD]))}" if ids else f"jobs up to {newest} with {filters.texts}"
    here.tell("%s of %s: %s", offer.name, which, result.told)
    if form.get("from") == "job" and len(ids) == 1 and result.moved and offer.name != "delete":
        return go_to("job", number=ids[0], act=result.act)
    return here.render("result.html", result=result, filters=filters.texts, is_undoable=what.is_undoable)


def _asked(
    here: Here, selection: Selection, ids: tuple[int, ...], filters: Filters, *, has_grown: bool = False
) -> Response:
    """Return the page that says what an act would be about, and asks for what it needs.

    What is confirmed are these jobs: its form has the newest number and the count, so that none is moved that came
    to match only afterwards.
    """
    form = request.form
    offer, what = act_of({"by": "1h", "priority": "10", "queue_to": "default", "channel_to": "", **form.to_dict()})
    with here.reading() as connection:
        newest = newest_number(connection)
        bound = selection if ids else dataclasses.replace(selection, up_to=newest)
        count = count_meant(connection, what, bound)
    usual = () if selection.statuses or selection.ids else what.usual
    return here.render(
        "confirm.html",
        offer=offer,
        ids=ids,
        count=count,
        newest=newest,
        has_grown=has_grown,
        filters=filters.texts,
        shown=list(described(filters)),
        usual=usual,
        most=MOST,
        back=form.get("from", ""),
    )
