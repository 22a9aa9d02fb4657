"""Who did what; and taking it back."""

from __future__ import annotations

from flask import Response, request

from jobcron.operations.acts import Bulk
from jobcron.operations.undo import find_undoable, recent_acts, undo_act
from jobcron.web._acts import MOST, Result, gathered, reason_of
from jobcron.web._routing import Here, act, number_in, page

ACTS = 50
"""How many acts a page has."""


@page("/audit")
def audit(here: Here) -> Response:
    """List what was done by hand, the newest first."""
    below = number_in("below")
    with here.reading() as connection:
        acts = recent_acts(connection, below=below, limit=ACTS)
    return here.render("audit.html", acts=acts, more=acts[-1].id if len(acts) == ACTS else None, below=below)


@act("/audit/<int:number>/undo")
def undo(here: Here, number: int) -> Response:
    """Say what an act was; when that is confirmed, take it back, as far as its jobs have not moved since."""
    if request.form.get("confirmed") != "yes":
        with here.reading() as connection:
            return here.render("confirm_undo.html", act=find_undoable(connection, number))
    how = Bulk(actor=here.visitor.actor, reason=reason_of(request.form), limit=MOST)
    result: Result = gathered("undo", f"undo {number}", undo_act(here.dashboard.database, number, how))
    here.tell("undo of act %d: %s", number, result.told)
    return here.render("result.html", result=result, filters={}, is_undoable=False)
