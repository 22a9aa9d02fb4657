"""Changes of objects whose class is joined with its subclasses are compared as those of any other."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from instances import Instance
from jobcron import BaseRunnableJob, JobStatus, JobType


class Base(DeclarativeBase):
    """The application's metadata."""


class Vehicle(Base):
    """Each query for one asks the tables of its subclasses as well."""

    __tablename__ = "vehicle"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    colour: Mapped[str] = mapped_column(default="grey")

    __mapper_args__: ClassVar[Any] = {  # type: ignore[misc]
        "polymorphic_on": "kind",
        "polymorphic_identity": "vehicle",
        "with_polymorphic": "*",
    }


class Bus(Vehicle):
    """Has a table of its own besides."""

    __tablename__ = "bus"

    id: Mapped[int] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    seats: Mapped[int] = mapped_column(default=40)

    __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "bus"}  # type: ignore[misc]


class VehicleJobType(JobType):
    """Types of jobs for these tests."""

    PAINT = 1


class PaintJob(BaseRunnableJob):
    """Paints a vehicle."""

    class_job_type = VehicleJobType.PAINT
    target: Vehicle

    def run(self) -> None:
        """Paint, before any transaction has begun."""
        vehicle = self.target
        vehicle.colour = "red"
        if isinstance(vehicle, Bus):
            vehicle.seats += 1


@pytest.fixture
def vehicles(instance: Instance) -> list[type[Vehicle]]:
    """Commit a job about a vehicle of each class."""
    with instance.database.begin() as connection:
        Base.metadata.create_all(connection)
    instance.configure(sections=f"[paint]\nsource_interface: {__name__}.PaintJob\n")
    classes = [Vehicle, Bus]
    with instance.session() as session:
        for made in classes:
            vehicle = made()
            session.add(vehicle)
            session.flush()
            PaintJob.create(vehicle, session=session)
    return classes


def test_an_object_of_a_class_that_is_joined_with_its_subclasses_is_written(
    instance: Instance, vehicles: list[type[Vehicle]]
) -> None:
    log = instance.run("paint")
    assert [row.status for row in instance.rows()] == [JobStatus.COMPLETED] * len(vehicles), log
    assert instance.query("SELECT colour FROM vehicle") == [("red",)] * len(vehicles)
    assert instance.query("SELECT seats FROM bus") == [(41,)]


@pytest.mark.parametrize("table", ["vehicle", "bus"])
def test_a_change_by_others_in_either_table_interrupts_the_job(
    instance: Instance, vehicles: list[type[Vehicle]], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.queue.error_rules.back_off", lambda *arguments: 0.0)
    real, changes = PaintJob.run, {"vehicle": "colour = 'blue'", "bus": "seats = 50"}
    left = [changes[table]]

    def run(job: PaintJob) -> None:
        is_bus = isinstance(job.target, Bus)
        if is_bus and left:
            instance.query(f"UPDATE {table} SET {left.pop()} WHERE id = {job.target.id}")
        real(job)

    monkeypatch.setattr(PaintJob, "run", run)
    log = instance.run("paint")
    assert [row.status for row in instance.rows()] == [JobStatus.COMPLETED] * len(vehicles), log
    assert "interrupted" in log
    assert instance.query("SELECT seats FROM bus") == [(51 if table == "bus" else 41,)]
