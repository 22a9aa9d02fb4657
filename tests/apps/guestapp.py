"""An application whose jobs have no table of their own: target and arguments are on the job's row."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKey, func
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from zope.interface import implementer
from zope.schema import Int, TextLine

from jobcron import BaseRunnableJob, IRunnableJob, JobType


class Base(DeclarativeBase):
    """The application's metadata."""


class Customer(Base):
    """What most jobs are about."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="Ada")
    letters: Mapped[int] = mapped_column(default=0)
    kind: Mapped[str] = mapped_column(default="person")

    __mapper_args__: ClassVar[Any] = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # type: ignore[misc]


class Company(Customer):
    """A customer of another class in the same table."""

    __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "company"}  # type: ignore[misc]


class Line(Base):
    """Something with a key of several parts, one of them a text."""

    __tablename__ = "line"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)


class Colour(Enum):
    """An argument that is no JSON."""

    RED = "red"
    BLUE = "blue"


class GuestJobType(JobType):
    """The types of jobs."""

    LETTER = 0, "Send a letter"
    EVERYTHING = 1
    ABOUT_ANYTHING = 2
    SCHEMA = 3
    LARGE = 4
    LINE = 5
    OWN_WAY = 6
    PARCEL = 7


class LetterJob(BaseRunnableJob):
    """Sends letters to a customer."""

    class_job_type = GuestJobType.LETTER
    retries_of_all: ClassVar[int] = 7

    target: Customer
    template: str
    copies: Annotated[int, "how many"] = 1
    options: dict[str, list[int]] = {}

    def run(self) -> None:
        """Count the letters."""
        self.target.letters += self.copies

    def related_action(self) -> object:
        """Return the page of the customer."""
        return f"https://shop.example/customers/{self.target.id}?copies={self.copies}"


class EverythingJob(BaseRunnableJob):
    """Has arguments of every type that a row can keep."""

    class_job_type = GuestJobType.EVERYTHING

    when: date | None = None
    price: Decimal = Decimal("0")
    reference: UUID | None = None
    content: bytes = b""
    pair: tuple[int, str] = (0, "")
    colours: set[Colour] = set()
    mode: Literal["fast", "slow"] = "fast"
    customer: Customer | None = None
    lines: list[Line] = []
    anything: Any = None

    def run(self) -> None:
        """Write to each of the customers and to those of the lines."""
        if self.customer:
            self.customer.letters += 1
        self.anything = [line.code for line in self.lines]


class AboutAnythingJob(BaseRunnableJob):
    """Is about any mapped object, or none."""

    class_job_type = GuestJobType.ABOUT_ANYTHING

    target: object | None

    def run(self) -> None:
        """Keep what it is about."""
        self.metadata["was"] = type(self.target).__name__


class Receiver(Base):
    """What jobs are about that must not mistake it for another one."""

    __tablename__ = "receiver"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="Ada")
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    serial: Mapped[UUID | None] = mapped_column(default=uuid4)


class ParcelJob(BaseRunnableJob):
    """Sends a parcel to somebody, and to nobody else."""

    class_job_type = GuestJobType.PARCEL
    target_identity = ("created", "serial")
    max_retries = 1
    retry_error_types = (ConnectionError,)

    target: Receiver
    asks: bool = True

    def run(self) -> None:
        """Keep to whom."""
        self.metadata["to"] = self.target.name if self.asks else str(self.job.target_id)


class LineJob(BaseRunnableJob):
    """Is about something with a key of several parts."""

    class_job_type = GuestJobType.LINE

    target: Line

    def run(self) -> None:
        """Keep what it is about."""
        self.metadata["was"] = self.target.code


class ISchemaJob(IRunnableJob):
    """Declares its arguments by fields."""

    subject = TextLine(title="The subject", max_length=10)
    copies = Int(title="How many", min=1, max=5, default=2)
    note = TextLine(title="A note", required=False)
    size = Int(title="What the class works out by itself")


@implementer(ISchemaJob)
class SchemaJob(BaseRunnableJob):
    """Implements them."""

    class_job_type = GuestJobType.SCHEMA

    subject: str
    copies: int
    note: str | None

    @property
    def size(self) -> int:
        """The subject's."""
        return len(self.subject)

    def run(self) -> None:
        """Do it."""


class LargeJob(BaseRunnableJob):
    """Allows itself less data than others."""

    class_job_type = GuestJobType.LARGE
    max_data_bytes = 100
    max_data_levels = 3

    def run(self) -> None:
        """Keep too much."""
        self.metadata["deep"] = [[[["deep"]]]]


class OwnWayJob(BaseRunnableJob):
    """Finds its ready jobs in its own way: the latest first."""

    class_job_type = GuestJobType.OWN_WAY

    customer: Customer | None = None

    @classmethod
    def iterReady(cls, *, session: Any = None) -> Any:
        """Yield the ready jobs backwards."""
        return iter(list(super().iterReady(session=session))[::-1])

    def run(self) -> None:
        """Write to the customer."""
        if self.customer:
            self.customer.letters += 1


Row = TypeVar("Row", bound=Base)

SECTIONS = "\n".join(
    f"[{name}]\nsource_interface: guestapp.{kind}\n"
    for name, kind in (
        ("letter", "LetterJob"),
        ("everything", "EverythingJob"),
        ("anything", "AboutAnythingJob"),
        ("line", "LineJob"),
        ("parcel", "ParcelJob"),
        ("large", "LargeJob"),
        ("own_way", "OwnWayJob"),
    )
)


def added(session: Session, row: Row) -> Row:
    """Add a row to a session, and return it."""
    session.add(row)
    return row
