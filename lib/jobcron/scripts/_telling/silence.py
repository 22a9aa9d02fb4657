"""Tell people of sections that have fallen silent, from the run of any other section (OCQ-06).

A row of `jobcron_silence` is written before its mail is sent, so that of all hosts one sends it, and says
afterwards that it was sent. If that run dies between the two, or the mail cannot be sent, another run sends it
later.
"""

from __future__ import annotations

import logging
import socket
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.exc import DBAPIError

from jobcron.database.clock import database_after, database_now
from jobcron.database.database import TransactionSource
from jobcron.database.runs import last_end
from jobcron.database.statements import insert_into
from jobcron.database.tables import SilenceRow
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable
from jobcron.jobs.moves.pauses import pauses_of
from jobcron.queue.health import Health, check_silence, silence_limits
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.mail import new_mail, send
from jobcron.scripts.control import Control
from jobcron.settings.secrets import redactor
from jobcron.settings.settings import GROUPS_CONTROL, Section, Settings

RETRY_SECONDS = 300.0
"""When a mail that was not sent is tried again, at the earliest."""


class Row(NamedTuple):
    """A row of `jobcron_silence`: see `SilenceRow`."""

    last_run: datetime
    is_over: bool
    due: datetime | None


class Notice(NamedTuple):
    """What people are to be told of a section.

    Attributes:
        section: its name.
        is_over: whether its silence is over, or else it is silent.
        text: the last run, in words.
        last_run: the end of its last run.
        row: what the database says of it so far.
    """

    section: str
    is_over: bool
    text: str
    last_run: datetime
    row: Row | None


def tell_silences(
    database: TransactionSource, settings: Settings, observer: Section, logger: logging.Logger
) -> None:
    """Tell those whom the configuration names of sections that are silent, and of those that are so no longer.

    Args:
        database: the database of the runs. If it is in trouble this is logged, and the next run looks.
        settings: the instance's.
        observer: the section whose run looks.
        logger: the script's logger.
    """
    if database.is_ambient:
        return
    try:
        with database.begin(writing=False) as connection:
            notices = Look(connection, settings).notices(observer)
        for notice in notices:
            if _take(database, notice) and not _tell(database, settings, observer, notice, logger):
                return  # so it is with the others
    except (DBAPIError, DatabaseUnavailable) as error:
        logger.warning("Silent sections could not be looked for: %s", first_line(error), extra=NO_OOPS)


class Look:
    """A look at all sections of an instance, in a transaction that only reads."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        now = connection.scalar(select(database_now()))
        assert now is not None
        self._now = now
        self._last = {name: last_end(connection, name) for name in settings.sections}

    def notices(self, observer: Section) -> list[Notice]:
        """Return what people are to be told."""
        query = select(SilenceRow.section, SilenceRow.last_run, SilenceRow.is_over, SilenceRow.due)
        rows = {row.section: Row(row.last_run, row.is_over, row.due) for row in self._connection.execute(query)}
        # After an outage of all sections, whichever runs first would tell of all others.
        # why: decisions 2026-11-29, a section that was silent itself tells nothing
        is_awake = not self._is_beyond(observer, Health.WARNING)
        found = []
        for section in self._settings.sections.values():
            row = rows.get(section.name)
            if row is not None or (is_awake and self._is_beyond(section, Health.CRITICAL)):
                found.append(self._notice(section, row))
        return [notice for notice in found if notice is not None]

    def _is_beyond(self, section: Section, health: Health) -> bool:
        """Return whether the last run is longer ago than a limit, before anything that may excuse it."""
        limits, last = silence_limits(self._settings, section), self._last.get(section.name)
        return limits is not None and last is not None and self._now - last >= limits[health - Health.WARNING]

    def _notice(self, section: Section, row: Row | None) -> Notice | None:
        last = self._last.get(section.name)
        if last is None:  # somebody has emptied the table of runs
            return None
        check = check_silence(self._connection, self._settings, section, self._now)
        is_silent = check.health is Health.CRITICAL
        is_tried_again = row is not None and row.due is not None and row.due <= self._now
        if row is None or (is_tried_again and not row.is_over and is_silent):
            is_told = is_silent and not self._is_stopped(section)
            return Notice(section.name, False, check.text, last, row) if is_told else None
        has_run = not is_silent and last > row.last_run
        if is_tried_again if row.is_over else has_run and (row.due is None or is_tried_again):
            return Notice(section.name, True, check.text, last, row)
        return None

    def _is_stopped(self, section: Section) -> bool:
        """Return whether somebody has paused the section, or switched it off."""
        if pauses_of(self._connection, section.name, [section.source_interface or ""]):
            return True
        names = [section.name] if section.crontab_group is None else [section.name, GROUPS_CONTROL]
        control = self._control
        return control is not None and not all(control.ask(name).is_enabled for name in names)

    @cached_property
    def _control(self) -> Control | None:
        """The control file, which may be far away: read only where a section seems silent."""
        where = self._settings.cron_control
        return None if where is None else Control(where)


def _take(database: TransactionSource, notice: Notice) -> bool:
    """Note that this run tells; return False if another one does, or if there is nothing to tell after all."""
    values = {"is_over": notice.is_over, "due": database_after(RETRY_SECONDS)}
    with database.begin() as connection:
        if notice.row is None:
            mine = {"section": notice.section, "last_run": notice.last_run, **values}
            insert = insert_into(SilenceRow, connection).values(mine)
            return connection.execute(insert.on_conflict_do_nothing()).rowcount == 1
        as_seen = (
            *_is_of(notice.section, notice.row.is_over),
            SilenceRow.due.is_not_distinct_from(notice.row.due),
        )
        if notice.is_over and not notice.row.is_over and notice.row.due is not None:  # nobody was told of it
            connection.execute(delete(SilenceRow).where(*as_seen))
            return False
        return connection.execute(update(SilenceRow).where(*as_seen).values(values)).rowcount == 1


def _tell(
    database: TransactionSource, settings: Settings, observer: Section, notice: Notice, logger: logging.Logger
) -> bool:
    """Log it, and send the mail; return False if it cannot be sent."""
    if notice.is_over:
        logger.info("The section %s is no longer silent: %s.", notice.section, notice.text, extra=NO_OOPS)
    else:
        logger.warning("The section %s is silent: %s.", notice.section, notice.text, extra=NO_OOPS)
    message = new_mail(
        f"Section {notice.section} is {'no longer silent' if notice.is_over else f'silent: {notice.text}'}",
        _body(observer, notice),
        # the same at each try, so that readers see a repeated mail as one
        message_id=f"<silence-{notice.last_run:%Y%m%d%H%M%S%f}-{int(notice.is_over)}@jobcron>",
    )
    try:
        send(settings.recipients_of(notice.section), message)
    except Exception as error:
        reason = redactor().text(first_line(error))
        logger.warning("Nobody could be told that: %s", reason, extra=NO_OOPS)
        return False
    mine = _is_of(notice.section, notice.is_over)
    ended = delete(SilenceRow) if notice.is_over else update(SilenceRow).values(due=None)
    with database.begin() as connection:
        connection.execute(ended.where(*mine))
    return True


def _body(observer: Section, notice: Notice) -> str:
    if notice.is_over:
        told = f"The section {notice.section} runs again: {notice.text}."
    else:
        told = (
            f"The section {notice.section} is silent: {notice.text}. The last run ended at "
            f"{notice.last_run:%Y-%m-%d %H:%M:%S} UTC.\n\n    jobcron why --section {notice.section}\n\n"
            "shows what is known of it. There will be another mail when it has run again."
        )
    return (
        f"{told}\n\nA run of the section {observer.name} on {socket.gethostname()} has seen it. You get this mail "
        "because failure_recipients in the configuration of jobcron names you.\n"
    )


def _is_of(section: str, is_over: bool) -> tuple[ColumnElement[bool], ...]:
    return SilenceRow.section == section, SilenceRow.is_over == is_over
