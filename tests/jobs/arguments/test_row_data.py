"""The metadata of a row is the job's data; that of its class stays SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declarative_base

import fooapp
from fooapp import DoFooJob, Foo, FooJob, FooJobType
from jobcron import FamilyRow, InvalidJobData, Job, job_type_column


@pytest.mark.feature("LP-06")
def test_the_metadata_of_a_family_row_is_the_data_of_its_job(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo, metadata={"colour": "blue"})
    assert job.context.metadata == job.metadata == {"colour": "blue"}
    job.context.metadata["sizes"] = [1]
    session.flush()
    job.context.metadata["sizes"].append(2)
    assert session.scalar(select(Job.id)) == job.id  # a query flushes, as a commit does
    session.expire_all()
    assert DoFooJob.get(job.id).context.metadata == {"colour": "blue", "sizes": [1, 2]}
    job.context.metadata = {"shape": "round"}
    session.flush()
    session.expire_all()
    assert DoFooJob.get(job.id).metadata == {"shape": "round"}
    job.context.metadata = {"a set": {1}}
    with pytest.raises(InvalidJobData, match="expected metadata"):
        session.flush()


@pytest.mark.feature("LP-03")
def test_the_metadata_of_the_shared_row_is_its_data_too(session: Session, foo: Foo) -> None:
    row: Any = DoFooJob.create(foo, metadata={"colour": "blue"}).job
    row.metadata["shape"] = "round"
    session.flush()
    session.expire_all()
    assert row.json_data == row.metadata == {"colour": "blue", "shape": "round"}


def test_the_metadata_of_a_class_is_still_that_of_its_tables() -> None:
    assert FooJob.metadata is fooapp.Base.metadata
    assert isinstance(Job.metadata, MetaData)
    assert Job.metadata.tables[Job.__tablename__] is Job.__table__


class ModernBase(DeclarativeBase):
    """A base of the present style."""


@pytest.mark.parametrize("make", [lambda: ModernBase, declarative_base], ids=["modern", "old"])
@pytest.mark.parametrize("is_mixin_first", [True, False])
def test_the_order_of_the_bases_and_a_metadata_of_its_own_make_no_difference(
    make: Callable[[], Any], is_mixin_first: bool
) -> None:
    base = make()
    own = MetaData()
    for metadata, more in ((base.metadata, {}), (own, {"metadata": own})):
        name = f"family_{is_mixin_first}_{bool(more)}".lower()
        attributes = {
            "__tablename__": name,
            "__module__": __name__,
            "__annotations__": {"job_type": Mapped[FooJobType]},
            "job_type": job_type_column(FooJobType),
            **more,
        }
        family: Any = type(name, (FamilyRow, base) if is_mixin_first else (base, FamilyRow), attributes)
        assert family.metadata is metadata
        assert family.__table__ is metadata.tables[name]
        job = Job(json_data={"a": 1})
        assert family(job=job).metadata == {"a": 1}
        with pytest.raises(InvalidJobData, match=f"expected {name} to have a job before its metadata is used"):
            family(metadata={})
