"""What the jobs do, each test in a transaction that is never committed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from flaskapp import jobs
from flaskapp.jobs import RecalculateTurnover, SendLetter, WriteInvoice, night_after
from flaskapp.models import Customer, Order, db
from jobcron import InvalidJobData, Job, send
from jobcron.testing import assert_completed, assert_failed, assert_waiting, outbox, run_waiting, waiting_jobs

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def test_a_job_has_the_applications_context_and_db_session_is_its_own(
    app: Flask, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: WriteInvoice) -> None:
        assert current_app.name == app.name
        assert db.session() is job.session
        order = db.session.get_one(Order, job.context.order_id)
        assert order is job.context.order
        order.invoice = "by db.session"

    monkeypatch.setattr(WriteInvoice, "run", run)
    job = WriteInvoice.create(order)
    run_waiting(WriteInvoice)
    assert_completed(job)
    assert order.invoice == "by db.session"


def test_an_invoice_is_written_and_announced(app: Flask, order: Order) -> None:
    job = WriteInvoice.create(order)
    assert "INFO    Ran 1 WriteInvoice jobs.\n" in run_waiting(WriteInvoice)
    assert order.invoice == f"{order.id}-{job.id}.html"
    page = Path(app.config["INVOICES"], order.invoice).read_text(encoding="utf-8")
    assert "<td>2 × Lamp</td><td>39.00</td>" in page
    run_waiting(SendLetter)
    (mail,) = outbox()
    assert mail["To"] == "ada@example.com"
    assert mail["Subject"] == f"The invoice for your order {order.id}"
    assert f"http://localhost:5000/orders/{order.id}\n" in mail.get_content()


def test_a_job_that_fails_leaves_the_desks_rows_as_they_were(
    order: Order, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*args: object, **values: object) -> None:
        session.flush()
        raise RuntimeError("no letters today")

    monkeypatch.setattr(SendLetter, "create", create)
    job = WriteInvoice.create(order)
    log = run_waiting(WriteInvoice)
    assert_failed(job, "no letters today")
    assert str(job.oops_id) in log
    assert order.invoice is None
    assert session.scalars(select(Job)).all() == [job.job]


def test_a_job_that_is_acquired_sees_what_was_added_until_it_starts(order: Order) -> None:
    job = WriteInvoice.acquire(order)
    assert WriteInvoice.acquire(order) == job
    run_waiting(WriteInvoice)
    assert WriteInvoice.acquire(order) != job


def test_a_letter_is_sent_once_it_is_run(order: Order) -> None:
    job = SendLetter.create(order.customer, template="welcome")
    assert outbox() == []
    run_waiting(SendLetter)
    (mail,) = outbox()
    assert mail["Message-ID"] == f"<{job.uuid}@orderdesk.example.com>"
    assert mail.get_content() == "Hello Ada,\n\nyou can order now.\n"
    run_waiting(SendLetter)
    assert len(outbox()) == 1


def test_a_letter_that_is_sent_twice_is_recognisably_the_same(
    order: Order, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_answer(recipients: list[str], message: EmailMessage) -> None:
        send(recipients, message)
        raise ConnectionResetError("the server took the mail, and its answer was lost")

    job = SendLetter.create(order.customer, template="welcome")
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "send", lose_the_answer)
        run_waiting(SendLetter)
    assert job.is_pending
    job.scheduled_start = datetime.now(UTC)  # a test moves the job's time, not the clock
    session.flush()
    run_waiting(SendLetter)
    assert_completed(job)
    first, second = outbox()
    assert first["Message-ID"] == second["Message-ID"]


def test_no_transaction_is_open_while_a_letter_is_sent(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would wait, for as long as the mail server takes its time."""
    open_transactions = []

    def note(recipients: list[str], message: EmailMessage) -> None:
        open_transactions.append(db.session().in_transaction())

    monkeypatch.setattr(jobs, "send", note)
    SendLetter.create(order.customer, template="invoice", order=order)
    run_waiting(SendLetter)
    assert open_transactions == [False]


def test_a_letter_that_there_is_no_template_for_is_refused_at_once(order: Order) -> None:
    with pytest.raises(InvalidJobData, match="expected template of SendLetter to be"):
        SendLetter.create(order.customer, template="birthday")


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        (datetime(2026, 5, 1, 1, 59, tzinfo=UTC), datetime(2026, 5, 1, 2, tzinfo=UTC)),
        (datetime(2026, 5, 1, 2, tzinfo=UTC), datetime(2026, 5, 2, 2, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, 2, tzinfo=UTC)),
    ],
)
def test_the_night_after_a_moment(moment: datetime, night: datetime) -> None:
    assert night_after(moment) == night


def test_each_night_makes_the_next_one_once(session: Session) -> None:
    first = RecalculateTurnover.acquire_after(YESTERDAY)
    run_waiting(RecalculateTurnover)
    assert_completed(first)
    (second,) = assert_waiting(RecalculateTurnover)
    assert second.scheduled_start == night_after(datetime.now(UTC))
    run_waiting(RecalculateTurnover)
    assert waiting_jobs(RecalculateTurnover) == [second]  # until 2:00
    assert RecalculateTurnover.acquire_after(datetime.now(UTC)) == second  # `flask nightly`, once more


def test_a_night_that_fails_is_not_the_last_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(today: date) -> None:
        raise ArithmeticError("too much turnover")

    first = RecalculateTurnover.acquire_after(YESTERDAY)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "recalculate_turnover", fail)
        run_waiting(RecalculateTurnover)
    assert not first.is_pending
    (second,) = assert_waiting(RecalculateTurnover)
    first.queue()  # somebody mended it
    run_waiting(RecalculateTurnover)
    assert_completed(first)
    assert waiting_jobs(RecalculateTurnover) == [second]


def test_a_night_that_a_clock_begins_early_is_not_counted_twice(session: Session) -> None:
    """The database says when a job is due, and its clock may be ahead of ours."""
    in_a_minute = datetime.now(UTC) + timedelta(minutes=1)
    job = RecalculateTurnover.acquire_after(in_a_minute)
    job.start()
    job.run()
    (second,) = assert_waiting(RecalculateTurnover)
    assert second.scheduled_start == job.scheduled_start + timedelta(days=1)


def test_turnover_is_what_was_ordered_in_a_year(order: Order, session: Session) -> None:
    old = Order(customer=order.customer, date_placed=date.today() - timedelta(days=400), lines=[])
    idle = Customer(name="Bert", email="bert@example.com", turnover=7)
    session.add_all([old, idle])
    RecalculateTurnover.acquire_after(YESTERDAY)
    run_waiting(RecalculateTurnover)
    assert order.customer.turnover == 3900
    assert idle.turnover == 0
