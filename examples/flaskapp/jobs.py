"""The desk's jobs: one with its own table, one whose data is on jobcron's row, and one without data.

Cron runs each of them with the application's context around it, and ``db.session`` is then the job's own session:
see worker.py.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from flask import current_app, render_template

from flaskapp.models import Customer, Order, OrderJob, OrderJobType, db
from flaskapp.turnover import recalculate_turnover
from jobcron import BaseRunnableJob, JobType, new_mail, send


class DeskJobType(JobType):
    """The types of jobs without a table: their data is on jobcron's row, so a new type needs no migration."""

    SEND_LETTER = 1, "Send a letter"
    RECALCULATE_TURNOVER = 2, "Recalculate the customers' turnover"


class WriteInvoice(BaseRunnableJob[OrderJob]):
    """Write the invoice of an order, and create the job that announces it."""

    class_job_type = OrderJobType.WRITE_INVOICE

    def run(self) -> None:
        """See `IRunnableJob`."""
        order = self.context.order
        # A file is not rolled back. But only this job writes this one: a second attempt overwrites it, and nobody
        # reads it before the commit that names it.
        path = Path(current_app.config["INVOICES"], f"{order.id}-{self.id}.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render_template("invoice.html", order=order), encoding="utf-8")
        order.invoice = path.name
        # Committed together with the invoice and this job's status, or not at all.
        SendLetter.create(order.customer, template="invoice", order=order)

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return f"writing the invoice of order {self.context.order_id}"


class SendLetter(BaseRunnableJob):
    """Mail a customer. `create` takes, checks and stores what is annotated here."""

    class_job_type = DeskJobType.SEND_LETTER
    retry_error_types = (OSError,)  # a mail server that is unavailable, or refuses: smtplib's errors are OSErrors
    max_retries = 5

    target: Customer
    template: Literal["welcome", "invoice"]
    order: Order | None = None

    def run(self) -> None:
        """See `IRunnableJob`."""
        text = render_template(f"{self.template}.txt", customer=self.target, order=self.order)
        subject, _, body = text.partition("\n\n")
        # A mail is not rolled back either. If this attempt dies after it and before the commit, the next one sends
        # it again, recognisably: the uuid is the same for every attempt.
        mail = new_mail(subject, body, message_id=f"<{self.uuid}@orderdesk.example.com>")
        send([self.target.email], mail)

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return f"sending the letter “{self.template}”"


class RecalculateTurnover(BaseRunnableJob):
    """Recalculate the turnover of customers. Each night's job creates the next; `flask nightly` the first."""

    class_job_type = DeskJobType.RECALCULATE_TURNOVER

    @classmethod
    def acquire_after(cls, moment: datetime) -> Self:
        """Return the job of the night after a moment; create it if there is none yet."""
        night = night_after(moment)
        # A key for each night, so that a retry of this night's job does not prevent the next one.
        return cls.acquire(unique_key=f"night of {night:%Y-%m-%d}", scheduled_start=night, session=db.session)

    def run(self) -> None:
        """See `IRunnableJob`."""
        # Not before the planned time either: this machine's clock may be behind the database's.
        self.acquire_after(max(self.scheduled_start, datetime.now(UTC)))
        # Commit the next night's job before the work begins: if this night fails, the next one runs all the same.
        self.checkpoint()
        recalculate_turnover(date.today())

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return "recalculating the customers' turnover"


def night_after(moment: datetime) -> datetime:
    """Return the first 2:00 UTC after a moment."""
    night = moment.astimezone(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
    return night if night > moment else night + timedelta(days=1)
