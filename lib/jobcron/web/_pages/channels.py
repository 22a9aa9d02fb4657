"""Channels: what each allows, what runs and waits in it; limits that are changed at once."""

from __future__ import annotations

from flask import Response, request

from jobcron.errors import ConfigurationError
from jobcron.operations.processes.channels import IN_ORDER, channel_states, pass_over, reset_limits, set_limits
from jobcron.settings.datatypes import throttle_from
from jobcron.web._routing import Here, act, go_to, page

MOST = 999_999_999
"""The greatest limit."""

SHOWN = 10
"""How many of the jobs in a channel are named."""


@page("/channels")
def channels(here: Here) -> Response:
    """List the channels."""
    with here.reading() as connection:
        return here.render("channels.html", states=channel_states(connection, here.dashboard.settings), most=SHOWN)


@act("/channels/limits")
def change_limits(here: Here) -> Response:
    """Set the limits of a channel, or let it have those of the configuration again."""
    form = request.form
    name, what = form.get("name", "").strip(), form.get("act", "")
    match what:
        case "set":
            count, period = _throttle(form.get("throttle", ""))
            limits = {
                "capacity": _limit("Capacity", form.get("capacity", ""), 0),
                "per_key": _limit("Per key", form.get("per_key", ""), 1),
                "throttle": count,
                "period": period,
                "sequential": _order(form.get("sequential", "")),
            }
            with here.writing() as connection:
                set_limits(connection, name, limits, here.visitor.actor)
        case "reset":
            with here.writing() as connection:
                reset_limits(connection, name, here.visitor.actor)
        case _:
            raise ConfigurationError(f"expected set or reset, got: {what!r}")
    here.tell("%s the limits of the channel %r", what, name)
    return go_to("channels")


@act("/channels/skip")
def skip_turns(here: Here) -> Response:
    """Let a channel go on without the jobs that keep their turn in it."""
    name = request.form.get("name", "").strip()
    with here.writing() as connection:
        passed = pass_over(connection, name, here.visitor.actor)
    here.tell("let the channel %r go on without %s jobs", name, len(passed))
    return go_to("channels")


def _limit(label: str, text: str, least: int) -> int | None:
    """Return a limit of a form; None: it was left empty, which is no limit."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= MOST):
        raise ConfigurationError(f"{label}: expected a whole number, at least {least}, or nothing; got: {text!r}")
    return int(text)


def _order(text: str) -> str | None:
    """Return what a form says of the order that is kept; None: none is."""
    if text not in ("", *IN_ORDER):
        raise ConfigurationError(f"Order: expected channel, target or nothing; got: {text!r}")
    return text or None


def _throttle(text: str) -> tuple[float | None, float | None]:
    """Return how many starts a form allows in how many seconds."""
    if not text.strip():
        return None, None
    try:
        count, seconds = throttle_from(text.strip())
    except ConfigurationError as error:
        raise ConfigurationError(f"Throttle: {error}") from error
    return count, seconds
