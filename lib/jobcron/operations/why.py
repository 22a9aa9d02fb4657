"""Why a job is not running, why a section does not run its jobs, and why a schedule creates none."""

from __future__ import annotations

from sqlalchemy import Connection, select

from jobcron.database.clock import database_now
from jobcron.interfaces import JobStatus
from jobcron.operations._obstacles.row import read_row
from jobcron.operations._obstacles.section import job_section_reasons, section_reasons
from jobcron.operations._obstacles.states import row_reasons
from jobcron.operations._obstacles.untold import untold_reasons
from jobcron.operations.reasons import Explanation, explanation
from jobcron.operations.schedules.acts import find_schedule
from jobcron.operations.schedules.reasons import schedule_reasons
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

    Raises:
        ConfigurationError: there is none of this name.
    """
    row = find_schedule(connection, name)
    now = connection.scalar(select(database_now()))
    assert now is not None
    return explanation(list(schedule_reasons(connection, settings, row, now)), schedule=name)
