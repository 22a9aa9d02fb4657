"""The desk's views. They create jobs in the request's own transaction: if that is rolled back, there is no job."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from flaskapp.jobs import SendLetter, WriteInvoice
from flaskapp.models import Customer, Order, OrderJob, OrderLine, db

desk = Blueprint("desk", __name__)


@desk.before_request
def take_no_lock() -> None:
    """On SQLite let a request that only reads wait for no job, and no job for it."""
    if request.method == "GET":
        db.session.connection(execution_options={"jobcron_begin": "DEFERRED"})


@desk.post("/customers")
def add_customer() -> ResponseReturnValue:
    """Add a customer, and create the job that welcomes them."""
    customer = Customer(name=request.form["name"], email=request.form["email"])
    db.session.add(customer)
    # `create` always creates a new job. The customer is in db.session, so the job is created there.
    SendLetter.create(customer, template="welcome")
    db.session.commit()
    return {"customer": customer.id}, 201


@desk.post("/orders")
def place_order() -> ResponseReturnValue:
    """Place an order, with its first line."""
    order = Order(customer=db.get_or_404(Customer, request.form.get("customer", type=int)))
    db.session.add(order)
    return _add_line(order)


@desk.post("/orders/<int:number>/lines")
def add_line(number: int) -> ResponseReturnValue:
    """Add a line to an order."""
    return _add_line(db.get_or_404(Order, number))


def _add_line(order: Order) -> ResponseReturnValue:
    form = request.form
    order.lines.append(
        OrderLine(
            article=form["article"],
            quantity=form.get("quantity", type=int),
            price=form.get("price", type=int),
        )
    )
    # `acquire` is for work that is needed once, however often it is requested. A job for this order that has not
    # started yet will see the new line too. One that is running may not, so then a new one is created.
    job = WriteInvoice.acquire(order)
    db.session.commit()
    return {"order": order.id, "job": job.id}, 201


@desk.get("/orders/<int:number>")
def show_order(number: int) -> ResponseReturnValue:
    """Show an order, and what became of its jobs."""
    order = db.get_or_404(Order, number)
    jobs = select(OrderJob).where(OrderJob.order == order).options(joinedload(OrderJob.job)).order_by(OrderJob.id)
    return {
        "customer": order.customer.name,
        "total": order.total,
        "invoice": order.invoice,
        "jobs": [
            {"id": row.id, "type": row.job_type.title, "status": row.job.status.title, "error": row.job.log}
            for row in db.session.scalars(jobs)
        ],
    }


@desk.errorhandler(IntegrityError)
def refuse(error: IntegrityError) -> ResponseReturnValue:
    """Answer that the tables refused the data. Flask-SQLAlchemy rolls back when the request ends."""
    return {"error": str(error.orig)}, 409
