"""Who was not told of what became of a job: mails that wait, and those that are gone."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from jobcron.database.statements import clause
from jobcron.database.tables import Mail
from jobcron.jobs.history import EventKind
from jobcron.operations._obstacles.row import Values
from jobcron.operations.details import newest_event
from jobcron.operations.reasons import Cause, Reason, moment, since
from jobcron.reports.plurals import counted

REMEDY = "mend what [jobcron] mail names"


def untold_reasons(connection: Connection, values: Values) -> Iterator[Reason]:
    """Yield that mails about a job wait, and that nobody was told of its last attempt; neither keeps a job."""
    yield from _mails(connection, values) if _may_read(connection) else _mails_of_history(connection, values)
    event = newest_event(connection, values.id, EventKind.NOT_TOLD, EventKind.MAIL_GIVEN_UP)
    if event is not None and event.lease_token == values.lease_token:
        what = "a mail about it was given up" if event.kind == EventKind.MAIL_GIVEN_UP else "nobody was told of it"
        text = f"{what}, {since(values.now, event.at)}: {event.detail}"
        yield Reason(Cause.NOT_TOLD, text, "nothing: tell them yourself, if they must know", is_blocking=False)


def _may_read(connection: Connection) -> bool:
    """Return whether we may read mails that wait: who only watches may not, because they have secrets in them."""
    if connection.dialect.name != "postgresql":
        return True
    asked = f"SELECT has_table_privilege('{Mail.__tablename__}', 'SELECT')"
    return bool(connection.scalar(clause(connection, asked)))


def _mails(connection: Connection, values: Values) -> Iterator[Reason]:
    asked = select(func.count(), func.max(Mail.tries), func.min(Mail.due)).where(Mail.job_id == values.id)
    mails, tries, due = connection.execute(asked).one()
    if mails:
        text = (
            f"{counted(mails, 'mail')} about it could not be sent (tries: {tries}); the first run "
            f"after {moment(due)} tries again"
        )
        yield Reason(Cause.NOT_TOLD, text, REMEDY, due, is_blocking=False)


def _mails_of_history(connection: Connection, values: Values) -> Iterator[Reason]:
    kinds = (EventKind.MAIL_WAITS, EventKind.MAIL_SENT, EventKind.MAIL_GIVEN_UP)
    event = newest_event(connection, values.id, *kinds)
    if event is not None and event.kind == EventKind.MAIL_WAITS:
        text = f"a mail about it could not be sent, {since(values.now, event.at)}; later runs try again"
        yield Reason(Cause.NOT_TOLD, text, REMEDY, is_blocking=False)
