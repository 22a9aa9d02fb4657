"""An application that uses psycopg 3 gives jobcron its own URL, and creates jobs in its own sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from fooapp import ActJob, Foo
from instances import Instance
from jobcron import DuplicateJob, JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def theirs(instance: Instance) -> Iterator[Session]:
    """Return a session of the application's own, with psycopg 3; the instance has the application's URL."""
    url = instance.url.replace("postgresql+psycopg2:", "postgresql+psycopg:")
    instance.url = url
    instance.configure()
    engine = create_engine(url)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_jobs_that_psycopg_3_creates_are_run_with_the_application_s_url(
    instance: Instance, theirs: Session
) -> None:
    foo = Foo(name="theirs")
    theirs.add(foo)
    theirs.flush()
    job = ActJob.create(foo, metadata={"do": [["write", "x"]]})
    acquired = ActJob.acquire(foo, metadata={"do": []})
    assert acquired == job
    many = ActJob.createMultiple([foo, foo])
    theirs.commit()
    out, err = instance.command("run", "act")
    assert "Ran 3 ActJob jobs." in err
    numbers = [job.id, *many]
    assert {instance.row(number).status for number in numbers} == {JobStatus.COMPLETED}
    assert "WAITING" not in instance.command("jobs")[0]


def test_a_key_that_is_taken_is_told_and_their_transaction_goes_on(instance: Instance, theirs: Session) -> None:
    foo = Foo(name="theirs")
    theirs.add(foo)
    ActJob.create(foo, unique_key="one", session=theirs)
    theirs.flush()
    with pytest.raises(DuplicateJob):
        ActJob.create(foo, unique_key="one")
    other = ActJob.create(foo, unique_key="two")
    theirs.commit()
    assert instance.row(other.id).status is JobStatus.WAITING


def test_a_job_is_moved_and_its_data_changed_in_their_session(instance: Instance, theirs: Session) -> None:
    foo = Foo(name="theirs")
    theirs.add(foo)
    theirs.flush()
    job = ActJob.create(foo, metadata={"do": []})
    theirs.commit()
    job.metadata["more"] = 1.5
    job.suspend()
    theirs.commit()
    job.resume()
    theirs.commit()
    assert instance.row(job.id).status is JobStatus.WAITING
    assert ActJob.get(job.id, session=theirs).metadata == {"do": [], "more": 1.5}
