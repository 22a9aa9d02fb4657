"""Send mails about jobs that earlier runs could not send.

A mail that waits is a row (see `jobcron.runner.failure`). Who tries to send it first writes when it is due again,
so that two runs do not send it at once. If a run dies between the sending and the row's end, the mail is sent
twice; it has the same Message-ID, by which readers see it as one.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from jobcron.database.clock import database_after, database_now
from jobcron.database.database import TransactionSource
from jobcron.database.tables import Mail
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.mail import deliver
from jobcron.runner.failure import FIRST_PAUSE
from jobcron.settings.secrets import redactor

LONGEST_PAUSE = 3600.0
"""Seconds; each pause is twice the one before."""

MAX_TRIES = 12
"""After these, some six hours after the first, a mail is given up."""

MOST_IN_A_RUN = 100
"""How many mails one run tries to send."""


class Waiting(NamedTuple):
    """A mail that waits.

    Attributes:
        key: its key.
        claim: the job's number, and the token of the attempt that it is about.
        content: the whole mail.
        tries: how often it has been tried, this time included.
    """

    key: str
    claim: Claim
    content: bytes
    tries: int


def send_again(database: TransactionSource, logger: logging.Logger) -> None:
    """Try to send mails that wait and are due; stop at the first that cannot be sent: so it is with the others.

    Args:
        database: the database of the jobs. If it is in trouble this is logged, and the mails wait.
        logger: the script's logger.
    """
    try:
        for _ in range(MOST_IN_A_RUN):
            mail = _take(database)
            if mail is None or not _send(database, mail, logger):
                return
    except (DBAPIError, DatabaseUnavailable) as error:
        logger.warning("Mails that wait could not be sent: %s", first_line(error), extra=NO_OOPS)


def _take(database: TransactionSource) -> Waiting | None:
    due = select(Mail.key).where(Mail.due <= database_now()).order_by(Mail.due, Mail.key).limit(1)
    with database.begin(writing=False) as connection:
        if connection.scalar(due) is None:
            return None
    with database.begin() as connection:
        columns = (Mail.key, Mail.job_id, Mail.lease_token, Mail.message, Mail.tries)
        first = select(*columns).where(Mail.due <= database_now()).order_by(Mail.due, Mail.key).limit(1)
        row = connection.execute(first.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        mail = Waiting(row[0], Claim(row[1], row[2]), row[3], row[4] + 1)
        taken = update(Mail).where(Mail.key == mail.key)
        connection.execute(taken.values(tries=mail.tries, due=database_after(_pause(mail.tries))))
    return mail


def _send(database: TransactionSource, mail: Waiting, logger: logging.Logger) -> bool:
    """Send a mail; return False if it cannot be sent."""
    try:
        deliver(mail.content)
    except Exception as error:
        reason = redactor().text(first_line(error))
        logger.warning(
            "A mail about %s cannot be sent (try %s): %s", mail.claim, mail.tries, reason, extra=NO_OOPS
        )
        if mail.tries >= MAX_TRIES:
            _end(database, mail, EventKind.MAIL_GIVEN_UP, reason)
        return False
    _end(database, mail, EventKind.MAIL_SENT, f"at try {mail.tries}")
    return True


def _end(database: TransactionSource, mail: Waiting, kind: EventKind, detail: str) -> None:
    with database.begin() as connection:
        if connection.execute(delete(Mail).where(Mail.key == mail.key)).rowcount == 1:
            record(connection, mail.claim, kind, detail)


def _pause(tries: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** (tries - 1), LONGEST_PAUSE)
