"""Sessions: the caller's, the application's own, and the one that a running job shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import guestapp
from guestapp import Customer, EverythingJob, LetterJob, added
from instances import Instance
from jobcron import InvalidJobData, Job, JobCronScript, JobStatus, NoSession, SchemaMismatch, share_session
from jobcron.database.sessions import adopt
from jobcron.testing import BufferLogger, use_session


def test_adopted_objects_are_those_of_the_session(guest: Instance) -> None:
    with guest.session() as session:
        customer = added(session, Customer(name="Ada"))
        session.commit()
        session.refresh(customer)
        session.expunge_all()
    with guest.session() as session:
        adopt(session, [customer])
        assert not session.in_transaction()
        assert session.get(Customer, customer.id) is customer
        assert not session.in_transaction(), "what is there is not asked for"
        customer.name = "Bea"
        assert customer in session.dirty
        session.rollback()
        assert customer.name == "Ada"
        customer.name = "Cat"
        session.commit()
        with pytest.raises(InvalidRequestError, match="another instance"):
            adopt(session, [detached_copy(guest, customer.id)])
        new = Customer(name="new")
        session.expunge(customer)
        adopt(session, [new, customer])
        assert (new in session.new, customer in session.dirty) == (True, False)
        session.flush()
        session.rollback()
    assert inspect(customer).detached
    assert guest.query("SELECT name FROM customer") == [("Cat",)]


def detached_copy(guest: Instance, number: int) -> Customer:
    """Return the object of a customer that is in no session."""
    with guest.session() as session:
        return session.get_one(Customer, number)


@pytest.mark.feature("LP-08")
def test_a_job_made_in_their_session_goes_with_their_rollback(guest: Instance) -> None:
    engine = create_engine(guest.database.engine.url)
    with Session(engine) as session:
        customer = added(session, Customer())
        LetterJob.create(customer, template="a", session=session)
        session.rollback()
        customer = added(session, Customer())
        LetterJob.create(customer, template="b", session=session)
        session.commit()
    engine.dispose()
    assert [row.json_data["template"] for row in guest.rows()] == ["b"]


def test_a_scoped_session_stands_for_its_session(guest: Instance) -> None:
    engine = create_engine(guest.database.engine.url)
    scoped = scoped_session(sessionmaker(engine))
    customer = Customer()
    scoped.add(customer)
    LetterJob.create(customer, template="a", session=scoped)
    EverythingJob.create(session=scoped)
    scoped.commit()
    scoped.remove()
    engine.dispose()
    assert len(guest.rows()) == 2
    with pytest.raises(NoSession, match="expected session to be a Session of SQLAlchemy's, got str"):
        EverythingJob.create(session="mine")  # type: ignore[arg-type]


def test_a_target_of_another_session_or_of_none_is_refused(guest_session: Session, customer: Customer) -> None:
    with pytest.raises(InvalidJobData, match="to be in a session, it is in none"):
        LetterJob.create(Customer(), template="a", session=guest_session)
    with Session(guest_session.get_bind()) as other:
        theirs = added(other, Customer())
        with pytest.raises(InvalidJobData, match="it is in another one"):
            LetterJob.create(theirs, template="a", session=guest_session)


def test_a_target_of_another_database_is_refused(guest: Instance, tmp_path: Path) -> None:
    elsewhere = create_engine(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    guestapp.Base.metadata.create_all(elsewhere)
    with Session(binds={guestapp.Base: elsewhere, Job: guest.database.engine}) as session:
        customer = added(session, Customer())
        with pytest.raises(
            InvalidJobData, match=r"to be in the database of the jobs, .*, it is in .*elsewhere\.db"
        ):
            LetterJob.create(customer, template="a")
    with (
        Session(elsewhere) as session,
        pytest.raises(SchemaMismatch, match=r"elsewhere\.db, found none: run `jobcron upgrade`"),
    ):
        LetterJob.create(added(session, Customer()), template="a")
    elsewhere.dispose()


def test_a_session_with_several_databases_makes_its_jobs_in_ours(guest: Instance, tmp_path: Path) -> None:
    elsewhere = create_engine(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    from jobcron.database.tables import Base as Ours

    with Session(binds={Ours: guest.database.engine, guestapp.Base: elsewhere}) as session:
        EverythingJob.create(session=session)
        EverythingJob.acquire(unique_key="one", session=session)
        session.commit()
    elsewhere.dispose()
    assert len(guest.rows()) == 2


def test_the_applications_scoped_session_is_the_jobs_own_while_it_runs(guest: Instance) -> None:
    path = guest.path / "sharing.py"
    path.write_text(
        "from contextlib import contextmanager\n"
        "import guestapp\n"
        "from guestapp import Customer, LetterJob\n"
        "from jobcron import share_session\n"
        "from sqlalchemy import create_engine\n"
        "from sqlalchemy.orm import scoped_session, sessionmaker\n"
        f"db = scoped_session(sessionmaker(create_engine({guest.url!r})))\n"
        "def run(self):\n"
        "    assert db() is self.session\n"
        "    db.get(Customer, 1).letters += 5\n"
        "    if self.template == 'bad': raise RuntimeError('bad')\n"
        "LetterJob.run = run\n"
        "@contextmanager\n"
        "def around():\n"
        "    with share_session(db):\n"
        "        yield\n"
        "    assert not db.registry.has()\n"
    )
    conf = guest.path / "jobcron.conf"
    conf.write_text(
        conf.read_text()
        .replace("application: guestapp", "application: sharing:around")
        .replace("python_path: ", f"python_path: {guest.path} ")
    )
    with guest.session() as session:
        customer = added(session, Customer())
        good = LetterJob.create(customer, template="good").id
        bad = LetterJob.create(customer, template="bad").id
    guest.command("run", "letter")
    assert guest.query("SELECT letters FROM customer") == [(5,)]  # of the good one, committed with it
    assert (guest.row(good).status, guest.row(bad).status) == (JobStatus.COMPLETED, JobStatus.FAILED)
    assert "getOopsVars" not in guest.oopses()[0].read_text()


def test_sharing_a_session_needs_a_running_job(database_url: str) -> None:
    scoped = scoped_session(sessionmaker())
    with pytest.raises(NoSession), share_session(scoped):
        raise AssertionError("not reached")
    with Session() as session, use_session(session), share_session(scoped) as shared:
        assert shared is session is scoped()


@pytest.mark.parametrize("how", ["remove", "close"])
def test_a_job_that_removes_the_shared_session_fails_and_says_why(guest: Instance, how: str) -> None:
    (guest.path / "removing.py").write_text(
        "from contextlib import contextmanager\n"
        "from guestapp import Customer, LetterJob\n"
        "from jobcron import share_session\n"
        "from sqlalchemy import create_engine\n"
        "from sqlalchemy.orm import scoped_session, sessionmaker\n"
        f"db = scoped_session(sessionmaker(create_engine({guest.url!r})))\n"
        "def run(self):\n"
        "    db.get(Customer, 1).letters += 5\n"
        "    db.remove()\n" + ("    db.get(Customer, 1)\n" if how == "remove" else "") + "LetterJob.run = run\n"
        "@contextmanager\n"
        "def around():\n"
        "    with share_session(db):\n"
        "        yield\n"
    )
    conf = guest.path / "jobcron.conf"
    text = conf.read_text().replace("application: guestapp", "application: removing:around")
    conf.write_text(text.replace("python_path: ", f"python_path: {guest.path} "))
    with guest.session() as session:
        number = LetterJob.create(added(session, Customer()), template="a").id
    guest.command("run", "letter")
    row = guest.row(number)
    assert row.status is JobStatus.FAILED
    assert "the job must not call remove()" in str(row.log)
    assert guest.query("SELECT letters FROM customer") == [(0,)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_tests_own_sqlite_engine_commits_nothing_either(guest: Instance) -> None:
    engine = create_engine(guest.url)  # of the sqlite3 module's own transactions
    with Session(engine) as session:
        guestapp.Base.metadata.create_all(session.connection())
        session.add(Customer())
        session.commit()
        customer = session.scalars(select(Customer)).one()
        LetterJob.create(customer, template="a")
        session.commit()
        assert customer.name == "Ada"  # a transaction that has only read
        with use_session(session):
            arguments = ["letter", "--config", str(guest.path)]
            script = JobCronScript(test_args=arguments, commandline_config=True, logger=BufferLogger())
            script.main()
            assert customer.letters == 1
        session.rollback()
        assert customer.letters == 0
    engine.dispose()
    (row,) = guest.rows()
    assert row.status is JobStatus.WAITING
