"""Why a section does not run its jobs, or not yet: what configuration, host and runs say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, text

from jobcron.database.clock import database_now
from jobcron.database.roles import missing_rights, roles_of
from jobcron.database.runs import typical_seconds
from jobcron.database.statements import among, conditions_of
from jobcron.database.tables import JobSourceRow, Run
from jobcron.dispatch.offers import offer_of
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import HALVES, Job, has_status, is_ready
from jobcron.jobs.moves.channels import turns
from jobcron.jobs.moves.pauses import Scope, current_pauses, pauses_of
from jobcron.jobs.registry import registered, source_names
from jobcron.operations._obstacles.row import Row
from jobcron.operations._obstacles.states import paused
from jobcron.operations._rows.search import MANY_TYPES
from jobcron.operations._rows.start_order import line
from jobcron.operations.listing import COUNTED, Count
from jobcron.operations.processes.channels import is_within, no_room
from jobcron.operations.processes.crontab import instance_line, line_of
from jobcron.operations.processes.turns import in_the_way
from jobcron.operations.reasons import Cause, Reason, moment, span
from jobcron.operations.sections import ready_jobs
from jobcron.operations.selection import sources_of
from jobcron.queue.health import Health, check_silence
from jobcron.scripts.control import Control
from jobcron.scripts.groups import ProcessJobSources
from jobcron.scripts.locks.lock_holder import cluster_holder, lock_holder
from jobcron.scripts.outage import outage_of
from jobcron.settings.settings import Section, Settings

RATE_AGE = timedelta(hours=1)

LOOKED = 1_000
"""If fewer jobs than these are ready, and no more of a type wait, it is looked whether any can start."""

MOST_LANES = 20
"""With more channels and keys than these it is not looked."""


def job_section_reasons(connection: Connection, settings: Settings, row: Row) -> tuple[str | None, list[Reason]]:
    """Return the section that runs a job, and its reasons; of several sections, the first that runs."""
    names, decides = _sources_of(connection, row)
    sections = [s for s in settings.sections.values() if not names.isdisjoint(sources_of(settings, s))]
    reasons = []
    if row.values.type not in registered() and not decides:
        told = f"no class of this application has the type {row.values.type}"
        remedy = (
            f"the module that defines it has to be imported by [jobcron] application (now: {settings.application})"
        )
        reasons.append(Reason(Cause.TYPE_UNKNOWN, told, remedy))
    if not sections:
        told = f"no section of {settings.path} runs jobs of the type {row.values.type}"
        remedy = f"add a section with source_interface: {sorted(names)[0]}" if names else "add a section for it"
        return None, [*reasons, Reason(Cause.NO_SECTION, told, remedy)]
    found = [(section, list(_state_reasons(connection, settings, section))) for section in sections]
    running = [pair for pair in found if not any(reason.is_blocking for reason in pair[1])]
    section, its = (running or found)[0]
    if decides:
        told = f"the source of section {section.name} decides by itself which jobs are ready (iterReady)"
        its.append(Reason(Cause.OWN_READY, told, is_blocking=False))
    if row.values.channel is None and section.channel is not None:
        its += _channel_reasons(connection, section.channel, row.values.channel_key)
    return section.name, [*reasons, *its, *_offers(connection, row), *_queue_reasons(connection, section, row)]


def _offers(connection: Connection, row: Row) -> Iterator[Reason]:
    """Yield to whom a waiting job was offered, if nobody has received it."""
    offer = offer_of(connection, row.values.id) if row.values.status is JobStatus.WAITING else None
    if offer is not None:
        told = f"offered to {offer.dispatcher} {span(timedelta(seconds=offer.seconds))} ago, not taken"
        remedy = f"does a worker receive for section {offer.section}? Cron's next tick runs the job anyway"
        yield Reason(Cause.OFFERED, told, remedy, is_blocking=False)


def section_reasons(
    connection: Connection, settings: Settings, section: Section, *, counts: bool = True
) -> Iterator[Reason]:
    """Yield why a section runs its jobs, or does not.

    Args:
        connection: only read.
        settings: the instance's.
        section: the section.
        counts: whether it also says how many jobs are ready, which takes longer than the rest.
    """
    yield from _state_reasons(connection, settings, section)
    names = sources_of(settings, section)
    types = connection.scalars(select(JobSourceRow.type_id).where(JobSourceRow.name.in_(names))).all()
    if not types:
        told = f"the database does not know its source {names[0] or 'none'}: it has had no jobs"
        yield Reason(Cause.SOURCE_UNKNOWN, told, "jobcron upgrade, or the next run, tells it", is_blocking=False)
        return
    yield from _paused_types(connection, section, names, len(set(types)))
    if section.channel is not None:
        for reason in _channel_reasons(connection, section.channel, ""):
            yield replace(reason, is_blocking=False)  # some of its jobs may have another one
    if not counts:
        return
    ready, oldest = ready_jobs(connection, names)
    if oldest is not None:
        if ready.number < LOOKED:
            yield from _all_held_up(connection, section, types)
        told = f"ready jobs: {ready}, the oldest for {span(oldest)}"
        yield Reason(Cause.READY, told, is_blocking=False)
        return
    due = _next_due(connection, types)
    more = "none waits" if due is None else f"the next is due at {moment(due)}"
    yield Reason(Cause.NOTHING_READY, f"no job is ready: {more}", until=due, is_blocking=False)


def _channel_reasons(connection: Connection, channel: str, key: str, job: int = 0) -> list[Reason]:
    """Return what keeps jobs from starting in a channel; the job is the first of them."""
    pauses = [found for found in current_pauses(connection, Scope.CHANNEL) if is_within(channel, found.name)]
    return [*map(paused, pauses), *map(no_room, in_the_way(connection, channel, key, job))]


def _all_held_up(connection: Connection, section: Section, types: Iterable[int]) -> Iterator[Reason]:
    """Yield what keeps the section's ready jobs from starting in their channels, if that is so for all of them."""
    numbers = sorted(set(types))
    if len(numbers) > MANY_TYPES:
        return
    waiting = line(connection, numbers, None, LOOKED)
    if waiting.end is not None:
        return  # others may start
    # By their numbers: the database might else read the whole table for a few jobs in it that are ready.
    is_one = among(Job.id, [key.id for key in waiting.keys])
    rows = connection.execute(select(Job.id, Job.channel, Job.channel_key).where(is_ready(), is_one)).all()
    places = {key.id: place for place, key in enumerate(waiting.keys)}
    rows = sorted(rows, key=lambda row: places[row.id], reverse=True)
    lanes = {(row.channel or section.channel, row.channel_key): row.id for row in rows}  # the first one of each
    whose_turn = {turn.job for turn in turns(connection)}
    if len(lanes) > MOST_LANES or any(channel is None for channel, _ in lanes):
        return  # others may start
    if any(row.id in whose_turn for row in rows):
        return
    found: dict[str, Reason] = {}
    for (channel, key), job in sorted(lanes.items()):
        reasons = _channel_reasons(connection, channel or "", key, job)
        if not reasons:
            return
        found.setdefault(reasons[0].text, reasons[0])
    yield from found.values()


def _paused_types(
    connection: Connection, section: Section, names: tuple[str, ...], number: int
) -> Iterator[Reason]:
    """Yield the pauses of a section's types, and those of queues, in which some of its jobs may be."""
    of_types = [found for found in pauses_of(connection, section.name, names) if found.scope is Scope.TYPE]
    for found in of_types:
        yield replace(paused(found), is_blocking=len(of_types) >= number)
    for found in current_pauses(connection, Scope.QUEUE):
        yield replace(paused(found), is_blocking=False)


def _sources_of(connection: Connection, row: Row) -> tuple[set[str], bool]:
    """Return the names of the sources of a job's type, and whether one of them decides what is ready."""
    columns = (JobSourceRow.name, JobSourceRow.own_iter_ready)
    found = connection.execute(select(*columns).where(JobSourceRow.type_id == row.values.type_id)).all()
    job_class = registered().get(row.values.type)
    known = [] if job_class is None else source_names(job_class)
    return {name for name, _ in [*found, *known]}, any(own for _, own in [*found, *known])


def _state_reasons(connection: Connection, settings: Settings, section: Section) -> Iterator[Reason]:
    for found in current_pauses(connection, Scope.SECTION):
        if found.name == section.name:
            yield paused(found)
    yield from _switched_off(settings, section)
    if section.dbuser is not None and connection.dialect.name == "postgresql":
        for missing in missing_rights(connection, roles_of(settings), section.dbuser):
            yield Reason(Cause.NO_RIGHTS, f"section {section.name}: {missing.text}", missing.remedy)
    outage = outage_of(settings.outage_file(section.name))
    if outage is not None:
        runs = "last run" if outage.runs == 1 else f"last {outage.runs} runs"
        told = (
            f"the {runs} of section {section.name} on this host did not find the database, since "
            f"{moment(outage.since)}: {outage.reason}"
        )
        yield Reason(Cause.OUTAGE, told, "see its log: it answers now", is_blocking=False)
    holder = lock_holder(settings.lock_dir, section.name)
    if holder is not None:
        told = f"a run of section {section.name} is in progress on this host: its lock is held by {holder}"
        yield Reason(Cause.LOCK_HELD, told, "if it does nothing: stop that process", is_blocking=False)
    everywhere = cluster_holder(connection, section.name) if section.is_alone_everywhere else None
    if everywhere is not None:
        remedy = "if it does nothing: stop that process" if everywhere.seconds_left > 0 else None
        yield Reason(Cause.LOCK_HELD, everywhere.describe(), remedy, is_blocking=False)
    if holder is None and everywhere is None:
        yield from _silent(connection, settings, section)


def _switched_off(settings: Settings, section: Section) -> Iterator[Reason]:
    if settings.cron_control is None:
        return
    control = Control(settings.cron_control)
    names = [section.name] if section.crontab_group is None else [section.name, ProcessJobSources.control_name]
    for name in names:
        verdict = control.ask(name)
        if not verdict.is_enabled:
            told = f"{name} is switched off: {verdict.reason}"
            yield Reason(Cause.SWITCHED_OFF, told, f"enabled: true in section [{name}] of {control.where}")


def _silent(connection: Connection, settings: Settings, section: Section) -> Iterator[Reason]:
    now = connection.scalar(select(database_now()))
    assert now is not None
    check = check_silence(connection, settings, section, now)
    remedy = (
        "is its line in a crontab, and does cron run it? `jobcron crontab` prints it; "
        f"below {instance_line(settings)}: {line_of(settings, section)}"
    )
    if check.health is Health.UNKNOWN:
        yield Reason(Cause.NEVER_RUN, f"section {section.name} {check.text}", remedy)
    elif check.health is not Health.OK:
        yield Reason(Cause.SILENT, f"section {section.name} is silent: {check.text}", remedy)


def _queue_reasons(connection: Connection, section: Section, row: Row) -> Iterator[Reason]:
    """Yield what goes before a job that can be claimed."""
    if row.values.status is not JobStatus.WAITING or not row.is_claimable:
        return
    ahead = _ahead(connection, row)
    if not ahead.number:
        return
    rate = _rate(connection, section)
    pace = f"; the section ran {rate} in the last hour"
    if rate and ahead.is_exact:
        pace += f", so about {span(RATE_AGE * (ahead.number / rate))}"
    yield Reason(
        Cause.AHEAD,
        f"jobs of its type that go first: {ahead}{pace}",
        f"jobcron priority {row.values.id} --to N",
        is_blocking=False,
    )
    seconds = typical_seconds(connection, section.name)
    if section.max_runtime and seconds and ahead.number * seconds > section.max_runtime:
        limit = span(timedelta(seconds=section.max_runtime))
        told = f"section {section.name} ends its runs after {limit}, and a job takes about {seconds:.1f} s"
        yield Reason(Cause.MAX_RUNTIME, told, "a longer max_runtime", is_blocking=False)


def _ahead(connection: Connection, row: Row) -> Count:
    """Count the jobs of the type that are claimed before this one, among the first `COUNTED` of each index."""
    found = [_ahead_in(connection, row, half) for half in HALVES]
    return Count(sum(count.number for count in found), is_exact=all(count.is_exact for count in found))


def _ahead_in(connection: Connection, row: Row, half: ColumnElement[bool]) -> Count:
    values = row.values
    ready = conditions_of(connection, "jobcron_job")
    first = (
        select(text(f"({' AND '.join(ready.values())}) AS is_ready"))
        .select_from(Job)
        .where(
            has_status(JobStatus.WAITING),
            half,
            Job.type_id == values.type_id,
            (Job.priority < values.priority)
            | (Job.priority == values.priority) & (Job.scheduled_start < values.scheduled_start)
            | (Job.priority == values.priority)
            & (Job.scheduled_start == values.scheduled_start)
            & (Job.id < values.id),
        )
        .order_by(Job.priority, Job.scheduled_start, Job.id)
        .limit(COUNTED)
        .subquery()
    )
    counted = select(func.count(), func.sum(text("CASE WHEN is_ready THEN 1 ELSE 0 END"))).select_from(first)
    seen, ready_count = connection.execute(counted).one()
    return Count(int(ready_count or 0), is_exact=seen < COUNTED)


def _rate(connection: Connection, section: Section) -> int:
    """Return how many jobs the section's runs of the last hour ran."""
    now = connection.scalar(select(database_now()))
    assert now is not None
    ran = select(func.sum(Run.completed + Run.incomplete))
    return int(connection.scalar(ran.where(Run.name == section.name, Run.date_started > now - RATE_AGE)) or 0)


def _next_due(connection: Connection, types: Iterable[int]) -> datetime | None:
    """Return when the next waiting job of these types is due, of those with the best priority."""
    found: list[datetime] = []
    for number in types:
        for half in HALVES:
            first = select(Job.scheduled_start).where(has_status(JobStatus.WAITING), half, Job.type_id == number)
            found += connection.scalars(first.order_by(Job.priority, Job.scheduled_start, Job.id).limit(1))
    return min(found).astimezone(UTC) if found else None
