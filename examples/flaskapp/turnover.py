"""The turnover of customers. Like most of the desk this uses ``db.session``, and knows nothing of jobs."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import func, select, update

from flaskapp.models import Customer, Order, OrderLine, db

YEAR = timedelta(days=365)


def recalculate_turnover(today: date) -> None:
    """Recalculate every customer's turnover; the caller commits."""
    worth = (
        select(func.coalesce(func.sum(OrderLine.quantity * OrderLine.price), 0))
        .join(Order, OrderLine.order_id == Order.id)
        .where(Order.customer_id == Customer.id, Order.date_placed > today - YEAR)
        .scalar_subquery()
    )
    db.session.execute(update(Customer).values(turnover=worth), execution_options={"synchronize_session": False})
