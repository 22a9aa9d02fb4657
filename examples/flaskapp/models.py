"""The desk's tables. The family table of its jobs is one of them: it belongs to the desk, not to jobcron."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from jobcron import FamilyRow, JobType, job_type_column


class Base(DeclarativeBase):
    """The base of the desk's tables. jobcron's tables are not among them, but beside them in the same database."""


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:
    Model = Base  # to type checkers db.Model is an attribute, which cannot be a base
else:
    Model = db.Model


class Customer(Model):
    """A customer.

    Attributes:
        turnover: what the orders of the last year are worth, in cents, as of last night.
    """

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    turnover: Mapped[int] = mapped_column(default=0)


class Order(Model):
    """An order of a customer.

    Attributes:
        invoice: the name of the invoice's file; None until it is written.
    """

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    date_placed: Mapped[date] = mapped_column(default=date.today)
    invoice: Mapped[str | None]

    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(order_by="OrderLine.id")

    @property
    def total(self) -> int:
        """The value of the order, in cents."""
        return sum(line.quantity * line.price for line in self.lines)


class OrderLine(Model):
    """An article of an order.

    Attributes:
        price: of one, in cents.
    """

    __tablename__ = "order_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="order_line_quantity"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    article: Mapped[str]
    quantity: Mapped[int]
    price: Mapped[int]


class OrderJobType(JobType):
    """The types of jobs about an order."""

    WRITE_INVOICE = 1, "Write the invoice"


class OrderJob(FamilyRow, Model):
    """The desk's row of a job about an order. The shared row, with the status, is jobcron's."""

    __tablename__ = "order_job"

    job_type: Mapped[OrderJobType] = job_type_column(OrderJobType)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))

    order: Mapped[Order] = relationship()
