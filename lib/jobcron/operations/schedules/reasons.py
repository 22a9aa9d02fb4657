"""Why a schedule creates no jobs, or not yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from jobcron.database.tables import JobSourceRow, JobTypeRow, ScheduleRow, SlotRow
from jobcron.operations.reasons import Cause, Reason, moment, span
from jobcron.operations.selection import sources_of
from jobcron.schedules.creating import is_waiting
from jobcron.schedules.definitions import former_origin, origins_of
from jobcron.schedules.storing import PATIENCE, corrected
from jobcron.settings.settings import Settings


def schedule_reasons(
    connection: Connection, settings: Settings, row: ScheduleRow, now: datetime
) -> Iterator[Reason]:
    """Yield why a schedule creates no jobs, or when it will."""
    if row.retired_at is not None:
        told = f"{row.origin} defined it, and no longer does since {moment(row.retired_at)}"
        yield Reason(Cause.RETIRED, told, f"define it again, or `jobcron schedules delete {row.name}`")
    elif not row.enabled:
        yield Reason(Cause.DISABLED, f"{row.origin} says enabled: false", "say enabled: true there")
    if row.paused_at is not None:
        because = "" if row.paused_because is None else f": {row.paused_because}"
        told = f"{row.paused_by} paused it at {moment(row.paused_at)}{because}"
        yield Reason(Cause.PAUSED, told, f"`jobcron schedules resume {row.name}`")
    if row.error is not None:
        remedy = f"mend it, then `jobcron schedules resume {row.name}` looks at once"
        yield Reason(Cause.FAILING, row.error, remedy, until=row.look_at)
    if connection.scalar(select(ScheduleRow.id).where(ScheduleRow.id == row.id, is_waiting())) is not None:
        told = f"job {row.waits_for} has not ended, and the schedule says overlap: wait"
        yield Reason(Cause.OVERLAP, told, f"`jobcron why {row.waits_for}` says what keeps it")
    elif row.due_at is not None and _is_gone(settings, row):
        yield _gone_reason(settings, row)
    elif row.due_at is not None:
        yield from _due_reasons(row, now)
    yield from _section_reasons(connection, settings, row)
    yield from _last_slot(connection, row)


def _is_gone(settings: Settings, row: ScheduleRow) -> bool:
    """Return whether this instance's configuration has defined a schedule, and does not define it now."""
    ours = (origins_of(settings)[0], former_origin(settings))
    return row.origin in ours and settings.schedules.keys().isdisjoint({row.name, row.renamed_from})


def _gone_reason(settings: Settings, row: ScheduleRow) -> Reason:
    confirmed = "not yet" if row.seen_at is None else f"at {moment(row.seen_at)}"
    told = f"{settings.path} does not define it; a run that does confirmed it {confirmed}"
    return Reason(
        Cause.RETIRED, told, "hosts that define it create its jobs; if there are none, it is retired soon"
    )


def _due_reasons(row: ScheduleRow, now: datetime) -> Iterator[Reason]:
    assert row.due_at is not None
    if corrected(row, now):
        told = f"its next slot is {moment(row.due_at)}, later than its times say: the database's clock was ahead"
        yield Reason(Cause.NOT_DUE, told, "the next run of a section corrects it", until=row.due_at)
    elif row.due_at > now:
        told = f"its next slot is {moment(row.due_at)}, in {span(row.due_at - now)}"
        yield Reason(
            Cause.NOT_DUE, told, f"`jobcron schedules run {row.name}` creates a job now", until=row.due_at
        )
    elif row.error is None:
        told = f"a slot has been due for {span(now - row.due_at)}: the next run of a section creates its job"
        yield Reason(Cause.READY, told, is_blocking=False)


def _section_reasons(connection: Connection, settings: Settings, row: ScheduleRow) -> Iterator[Reason]:
    """Say so if no section runs the jobs: then any other creates them, somewhat later, and they wait."""
    names = set(
        connection.scalars(
            select(JobSourceRow.name)
            .join(JobTypeRow, JobTypeRow.id == JobSourceRow.type_id)
            .where(JobTypeRow.name == row.type_name)
        )
    )
    if not any(not names.isdisjoint(sources_of(settings, section)) for section in settings.sections.values()):
        told = f"no section of {settings.path} runs the jobs of {row.job}"
        late = f"any other section creates them, {span(PATIENCE)} after a slot is due"
        yield Reason(Cause.NO_SECTION, told, f"add a section for them; {late}", is_blocking=False)


def _last_slot(connection: Connection, row: ScheduleRow) -> Iterator[Reason]:
    newest = select(SlotRow).where(SlotRow.schedule_id == row.id).order_by(SlotRow.due_at.desc()).limit(1)
    slot = connection.execute(newest).first()
    if slot is not None:
        job = "" if slot.job is None else f", job {slot.job}"
        missed = f"; {slot.missed} before it were missed" if slot.missed else ""
        local_time, _, time_zone = slot.local_time.partition(" ")
        told = f"its last slot, {local_time} in {time_zone or row.time_zone}: {slot.outcome}{job}{missed}"
        yield Reason(Cause.NOTHING_READY, told, is_blocking=False)
