"""The desk with cron: committed rows, and each run in a process of its own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from flaskapp.jobs import RecalculateTurnover, WriteInvoice, night_after
from flaskapp.models import Customer, Order, OrderLine, db
from jobcron import Job, JobStatus
from jobcron.testing import assert_completed, run_script, run_waiting

JOBCRON = Path(sys.executable).with_name("jobcron")


def test_an_order_is_invoiced_and_announced(client: FlaskClient, jobcron_instance: Path) -> None:
    client.post("/customers", data={"name": "Ada", "email": "ada@example.com"})
    client.post("/orders", data={"customer": 1, "article": "Lamp", "quantity": 2, "price": 1950})
    mails = jobcron_instance / "mail"
    assert not mails.exists()
    _, _, log = run_script(JOBCRON, ["run", "write_invoice"])
    assert "Ran 1 WriteInvoice jobs." in log
    _, _, log = run_script(JOBCRON, ["run", "send_letter"])
    assert "Ran 2 SendLetter jobs." in log
    shown = client.get("/orders/1").json
    assert shown is not None
    assert shown["jobs"][0]["status"] == "Completed"
    assert (jobcron_instance / "state" / "invoices" / shown["invoice"]).exists()
    assert len(list(mails.iterdir())) == 2


def test_the_end_of_the_context_takes_nothing_of_a_jobs_work(app: Flask) -> None:
    """Flask-SQLAlchemy removes ``db.session`` with the context, which is before the job is committed."""
    at_the_end = []

    @app.teardown_appcontext
    def note(error: BaseException | None) -> None:
        at_the_end.append(db.session.registry.has())

    with app.app_context():
        order = Order(
            customer=Customer(name="Ada", email="ada@example.com"),
            lines=[OrderLine(article="Lamp", quantity=2, price=1950)],
        )
        db.session.add(order)
        number = WriteInvoice.create(order).id
        db.session.commit()
    assert "Ran 1 WriteInvoice jobs." in run_waiting(WriteInvoice)
    assert at_the_end == [True, False]  # of the context above, and of the job's
    with app.app_context():
        assert_completed(WriteInvoice.get(number, session=db.session))
        assert db.session.scalars(select(Order.invoice)).all() == [f"1-{number}.html"]


def test_one_recalculation_for_each_night(app: Flask) -> None:
    with app.app_context():
        RecalculateTurnover.acquire_after(datetime.now(UTC) - timedelta(days=1))
        db.session.commit()
    for _ in range(2):
        run_script(JOBCRON, ["run", "recalculate_turnover"])
        nightly = app.test_cli_runner().invoke(args=["nightly"])
        assert nightly.output.startswith("Job 2 will recalculate the turnover at ")
    with app.app_context():
        first, second = db.session.scalars(select(Job).order_by(Job.id))
        assert_completed(first)
        assert second.status is JobStatus.WAITING
        assert second.scheduled_start == night_after(datetime.now(UTC))
