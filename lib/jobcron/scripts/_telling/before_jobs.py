"""What a run does before its jobs.

It checks the tables, looks at schedules, and tells once in an interval what is amiss.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from sqlalchemy import Connection

from jobcron.database.database import TransactionSource
from jobcron.database.runs import is_due
from jobcron.database.version import check_schema
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.dispatch.offers import forget_ended
from jobcron.errors import ConfigurationError, InvalidDuration
from jobcron.jobs import known_types
from jobcron.jobs.graphs.sweeping import sweep
from jobcron.jobs.moves.channels import store_channels
from jobcron.jobs.moves.pauses import Scope, current_pauses, pauses_of
from jobcron.jobs.registry import registered
from jobcron.queue.health import leased_too_far
from jobcron.queue.unserved import unserved_types
from jobcron.queue.views import SourceView
from jobcron.reports.logs import NO_OOPS
from jobcron.schedules.running import look_at_schedules, run_schedules
from jobcron.scripts._telling.quiet_runs import is_turn, note_look
from jobcron.scripts._telling.silence import tell_silences
from jobcron.scripts.code_stamp import note_types
from jobcron.scripts.order import Order
from jobcron.settings.named import dotted_name


def prepare(database: TransactionSource, order: Order, source: object) -> bool:
    """Check the tables, and register this process's job types in the database; write only new ones.

    Returns:
        Whether the log has got something that it is to have once in an interval: a pause, jobs without a class.
    """
    has_told = False
    sources = known_types.registered_sources(order.settings.source_names())
    with database.begin(writing=False) as connection:
        if not database.is_ambient:
            check_schema(connection, database.where, order.logger)
        known = known_types.is_known(connection, sources)
        schedules = None if database.is_ambient else look_at_schedules(connection, order.settings)
        # Intervals of the clock: a busy section always has a recent run, but one run is the first in each
        # interval.
        looks_around = is_due(connection, order.section.name, time.time() % order.settings.activity_interval)
        looks_for_all = looks_around and not database.is_ambient and is_turn(order.settings)
        if looks_around or order.logger.isEnabledFor(logging.DEBUG):
            has_told = _tell_pauses(connection, order, source)
        if looks_around:
            # why: decisions 2026-11-30, one section looks around for its instance
            views = [SourceView(source), *(_views_of_others(source) if looks_for_all else ())]
            has_told |= _warn_of_unclaimed(connection, order.logger, views)
            _warn_of_far_leases(connection, order.logger, views)
            if known:
                has_told |= _warn_of_unserved(connection, order)
    if looks_around:
        _look_after_jobs(database, order)
    if order.settings.channels and not database.is_ambient:
        store_channels(database, order.settings, order.logger)
    if not known:
        with database.begin() as connection:
            shared = known_types.sync(connection, sources)
        for text in shared:
            order.logger.error("%s.", text, extra=NO_OOPS)
    if schedules is not None:
        type_name = known_types.types_by_source(sources).get(dotted_name(source))
        run_schedules(database, order.settings, order.logger, schedules, type_name)
    if order.session is None:
        since = order.started if order.imports_since is None else order.imports_since
        note_types(order.settings, known_types.types_by_source(sources), since)
    if looks_for_all:
        note_look(order.settings)
    return has_told


def _look_after_jobs(database: TransactionSource, order: Order) -> None:
    """Tell of silent sections, and do what moves of jobs have left undone."""
    tell_silences(database, order.settings, order.section, order.logger)
    sweep(database, order.logger)
    forget_ended(database, Dispatchers(order.settings))


def _tell_pauses(connection: Connection, order: Order, source: object) -> bool:
    """Log what is paused of a section's jobs; return whether anything is."""
    view = SourceView(source)
    own = pauses_of(connection, order.section.name, [order.section.source_interface or "", view.name])
    # Before its first run the database does not know the section's types.
    found = [
        pause
        for pause in current_pauses(connection)
        if pause in own
        or pause.scope in (Scope.QUEUE, Scope.CHANNEL)
        or (pause.scope, pause.name) == (Scope.TYPE, view.type_name)
    ]
    for pause in found:
        order.logger.info("The %s.", pause, extra=NO_OOPS)
    return bool(found)


def _warn_of_unserved(connection: Connection, order: Order) -> bool:
    """Warn of types of this application's jobs that no section runs; return whether there are any."""
    found = [
        unserved
        for unserved in unserved_types(connection, order.settings)
        if unserved.name in registered()  # the others are another application's, or told of already
    ]
    for unserved in found:
        order.logger.warning("%s.", unserved, extra=NO_OOPS)
    return bool(found)


def _views_of_others(source: object) -> list[SourceView]:
    """Return what there is to know of the other sources of this application, as far as it is imported."""
    own = SourceView(source).name
    return [view for view in map(SourceView, registered().values()) if view.name != own]


def _warn_of_unclaimed(connection: Connection, logger: logging.Logger, views: list[SourceView]) -> bool:
    """Warn of types of the sources' families with pending jobs but no class; return whether there are any."""
    families = {view.type_name.rpartition(".")[0] for view in views} - {""}
    found = known_types.unclaimed(connection, families)
    for name, pending in found:
        logger.warning(
            "%s of the type %s, which no class of this application has.",
            pending,
            name,
            extra=NO_OOPS,
        )
    return bool(found)


def _warn_of_far_leases(connection: Connection, logger: logging.Logger, views: list[SourceView]) -> None:
    longest = {}
    for view in views:
        with suppress(ConfigurationError, InvalidDuration):  # a run of that source says so
            longest[view.name] = view.lease_seconds
    # One statement for all, since there is hardly ever such a job.
    if not longest or not leased_too_far(connection, list(longest), min(longest.values())):
        return
    for name, seconds in longest.items():
        if numbers := leased_too_far(connection, [name], seconds):
            logger.warning(
                "Jobs that run under a lease that no code gives: %s. If their processes are dead, nobody takes "
                "them over until their method endLease() is called.",
                ", ".join(map(str, numbers)),
                extra=NO_OOPS,
            )
