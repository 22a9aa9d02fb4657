"""Why a job is not running, why a section does not run its jobs, and why a schedule creates none."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from jobcron.database.clock import database_now
from jobcron.interfaces import JobStatus
from jobcron.operations._obstacles.row import read_row
from jobcron.operations._obstacles.section import job_section_reasons, section_reasons
from jobcron.operations._obstacles.states import row_reasons
from jobcron.operations._obstacles.untold import untold_reasons
from jobcron.operations.reasons import Cause, Explanation, Reason, explanation
from jobcron.operations.schedules.acts import find_schedule
from jobcron.operations.schedules.reasons import schedule_reasons
from jobcron.runner.application import is_imported
from jobcron.schedules.storing import read_rows_now
from jobcron.schedules.unstorable import Unstorable, unstorable
from jobcron.settings.settings import Section, Settings

CRASH_LIMIT = 3
"""The limit of deaths where no configuration says another."""


def explain_job(connection: Connection, job_id: int, settings: Settings | None = None) -> Explanation:
    """Return why a job is running, will run at the next opportunity, or will not.

    Args:
        connection: a connection; nothing is changed.
        job_id: the job's number.
        settings: the instance's settings, whose application is imported. None: only what the database decides is
            judged, not the sections.

    Raises:
        NoSuchJob: there is no such job.
    """
    row = read_row(connection, job_id)
    reasons = list(row_reasons(row, CRASH_LIMIT if settings is None else settings.crash_limit))
    reasons += untold_reasons(connection, row.values)
    section = None
    if settings is not None and (row.values.status is JobStatus.WAITING or row.is_abandoned):
        section, more = job_section_reasons(connection, settings, row)
        reasons += more
    return explanation(reasons, job=job_id, section=section, is_claimable=row.is_claimable)


def explain_section(connection: Connection, settings: Settings, section: Section) -> Explanation:
    """Return why a section runs its jobs, or does not; nothing is changed."""
    return explanation(list(section_reasons(connection, settings, section)), section=section.name)


def explain_schedule(connection: Connection, settings: Settings, name: str) -> Explanation:
    """Return why a schedule creates no jobs, or when it will; nothing is changed.

    Args:
        connection: only read.
        settings: the instance's.
        name: the schedule's name.

    Raises:
        ConfigurationError: there is none of this name.
    """
    wrong = _unstorable(connection, settings, name)
    if wrong is not None and not wrong.has_row:
        return explanation([_unstored(settings, wrong)], schedule=name)
    row = find_schedule(connection, name)
    now = connection.scalar(select(database_now()))
    assert now is not None
    reasons = list(schedule_reasons(connection, settings, row, now))
    if wrong is not None:
        reasons.append(replace(_unstored(settings, wrong), is_blocking=False))
    return explanation(reasons, schedule=name)


def _unstorable(connection: Connection, settings: Settings, name: str) -> Unstorable | None:
    """Return the definition of this name, if there is one that no run stores."""
    if not is_imported(settings):  # what its definitions lack cannot be known
        return None
    found = unstorable(*read_rows_now(connection), settings)
    return next((wrong for wrong in found if wrong.name == name), None)


def _unstored(settings: Settings, wrong: Unstorable) -> Reason:
    place = f"section [schedule:{wrong.name}] of {settings.path}"
    if wrong.name not in settings.schedules:
        place = f"add_schedule({wrong.name!r}) in {wrong.definition.origin}"
    remedy = f"mend {place}; the next run of a section stores it"
    return Reason(Cause.FAILING, wrong.describe(), remedy)
