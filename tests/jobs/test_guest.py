"""Jobs of an application's own, without a table: target, arguments, sessions, and what is refused at create."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import guestapp
from guestapp import (
    AboutAnythingJob,
    Colour,
    Company,
    Customer,
    EverythingJob,
    LargeJob,
    LetterJob,
    Line,
    LineJob,
    OwnWayJob,
    SchemaJob,
)
from instances import Instance
from jobcron import (
    BaseRunnableJob,
    ConfigurationError,
    Database,
    IncompleteJobType,
    InvalidJobData,
    Job,
    JobCronScript,
    JobStatus,
    NoSession,
    SchemaMismatch,
    load_settings,
    share_session,
)
from jobcron.jobs import known_types
from jobcron.jobs.arguments import json_data
from jobcron.testing import BufferLogger, database_session, use_session
from paths import APPS

SECTIONS = "\n".join(
    f"[{name}]\nsource_interface: guestapp.{kind}\n"
    for name, kind in (
        ("letter", "LetterJob"),
        ("everything", "EverythingJob"),
        ("anything", "AboutAnythingJob"),
        ("line", "LineJob"),
        ("large", "LargeJob"),
        ("own_way", "OwnWayJob"),
    )
)


@pytest.fixture
def guest(instance: Instance) -> Instance:
    """Return an instance for the application."""
    with instance.database.begin() as connection:
        guestapp.Base.metadata.create_all(connection)
    instance.configure(sections=SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "guestapp"))
    return instance


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """Return a session whose work is undone, with the application's tables."""
    database = Database(database_url)
    guestapp.Base.metadata.create_all(database.engine)
    with database_session(database.engine) as session:
        yield session
    database.close()


@pytest.fixture
def customer(session: Session) -> Customer:
    """Return a customer that is in the database."""
    customer = Customer()
    session.add(customer)
    session.flush()
    return customer


@pytest.mark.feature("LP-05", "LP-08")
def test_a_job_without_a_table_keeps_target_and_arguments_on_its_row(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer()
        session.add(customer)  # not flushed: create sees to it
        job = LetterJob.create(customer, template="hello", copies=3, options={"a": [1]})
        assert (job.target, job.template, job.copies, job.options) == (customer, "hello", 3, {"a": [1]})
        assert isinstance(job.context, Job)
        number = job.id
    row = guest.row(number)
    assert row.json_data == {"template": "hello", "copies": 3, "options": {"a": [1]}}
    assert (row.target_type, row.target_id) == ("guestapp.Customer", "1")
    assert "Ran 1 LetterJob jobs." in guest.run("letter")
    assert guest.query("SELECT letters FROM customer") == [(3,)]


def test_what_is_not_given_has_its_default_and_each_job_its_own_copy(session: Session, customer: Customer) -> None:
    job = LetterJob.create(customer, template="hello")
    assert (job.copies, LetterJob.copies, LetterJob.retries_of_all) == (1, 1, 7)
    job.options["a"] = [1]
    assert LetterJob.create(customer, template="hello").options == {}
    with pytest.raises(AttributeError, match="without a default"):
        _ = LetterJob.template


def test_an_argument_that_is_assigned_is_checked_and_saved(session: Session, customer: Customer) -> None:
    job = LetterJob.create(customer, template="hello")
    job.copies = 4
    session.flush()
    session.expire_all()
    assert LetterJob.get(job.id).copies == 4
    with pytest.raises(InvalidJobData, match="expected copies of LetterJob to be int, got 'many'"):
        job.copies = "many"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"expected template for LetterJob, got none"),
        ({"template": 7}, r"expected template of LetterJob to be str, got 7: int is not an instance of str"),
        ({"template": "a", "copies": "two"}, r"expected copies of LetterJob to be int, got 'two'"),
        ({"template": "a", "options": {"a": [1, "b"]}}, r"options of LetterJob .* item 1 of value of key 'a'"),
        ({"template": "a", "colour": 1}, r"expected names that LetterJob knows \(.*template\), got colour"),
        ({"template": "a", "metadata": 7}, r"expected metadata of LetterJob to be a dict, got int: 7"),
        (
            {"template": "a", "metadata": {"a": [1, {"b": {1, 2}}]}},
            r"metadata of LetterJob\['a'\]\[1\]\['b'\] to be JSON",
        ),
        ({"template": "a", "metadata": {"a": float("nan")}}, r"\['a'\] to be a finite number, got nan"),
        (
            {"template": "a", "metadata": {1: 2}},
            r"expected the keys of metadata of LetterJob to be text, got int: 1",
        ),
        (
            {"template": "a", "metadata": {"a": "\0"}},
            r"text that databases can keep, got one with the character '.x00'",
        ),
        ({"template": "a", "metadata": {"a": "\ud800"}}, r"with the character '.ud800'"),
        ({"template": "a", "metadata": {"a": object}}, r"\['a'\] to be JSON \(.*\), got type: <class 'object'>"),
        ({"template": "a" * (1 << 20)}, r"to be at most 1048576 bytes of JSON, got 1048"),
    ],
)
def test_what_does_not_fit_is_refused_at_create_and_leaves_nothing(
    session: Session, customer: Customer, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidJobData, match=message):
        LetterJob.create(customer, **values)
    assert session.scalars(select(Job)).all() == []


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,)])
def test_data_that_is_too_deep_is_refused_also_where_it_has_no_end(
    session: Session, customer: Customer, make: Any
) -> None:
    deep: Any = 1
    for _ in range(31):
        deep = make(deep)
    LetterJob.create(customer, template="a", metadata={"deep": deep})
    with pytest.raises(InvalidJobData, match="at most 32 levels deep"):
        LetterJob.create(customer, template="a", metadata={"deep": make(deep)})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidJobData, match="at most 32 levels deep"):
        LetterJob.create(customer, template="a", metadata={"deep": endless})
    with pytest.raises(InvalidJobData, match="too many levels"):
        EverythingJob.create(anything=endless, session=session)


@pytest.mark.feature("LP-01")
def test_arguments_of_every_type_come_back_as_they_were(session: Session, customer: Customer) -> None:
    line = Line(customer_id=customer.id, code="x-1")
    session.add(line)
    session.flush()
    values: dict[str, Any] = {
        "when": date(2026, 11, 23),
        "price": Decimal("12.50"),
        "reference": UUID(int=7),
        "content": b"\0\xff",
        "pair": (1, "one"),
        "colours": {Colour.RED, Colour.BLUE},
        "mode": "slow",
        "customer": customer,
        "lines": [line],
        "anything": {
            "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "naive": datetime(2026, 1, 2),
            "set": frozenset({1, 2}),
            "keys": {1: "one", (2,): "two"},
            "like a mark": {"$date": "not one"},
            "text": "“quoted”",
            "none": None,
            "true": True,
            "half": 0.5,
        },
    }
    number = EverythingJob.create(session=session, **values).id
    session.flush()
    session.expire_all()
    job = EverythingJob.get(number)
    assert {name: getattr(job, name) for name in values} == values
    assert type(job.anything["true"]) is bool


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "of a type that a job's row can keep, got object"),
        (lambda: 1, "of a type that a job's row can keep, got function"),
        ([Customer()], r"anything of EverythingJob\[0\] to be in the database"),
        (float("inf"), "to be a finite number"),
        ({"key": {1: object()}}, r"anything of EverythingJob\['key'\]\[1\] to be of a type"),
    ],
)
def test_an_argument_that_cannot_be_kept_is_refused_by_name(session: Session, value: object, message: str) -> None:
    with pytest.raises(InvalidJobData, match=message):
        EverythingJob.create(anything=value, session=session)


def test_a_class_that_another_process_could_not_find_is_refused(session: Session) -> None:
    from enum import Enum

    class Hidden(Enum):
        ONE = 1

    with pytest.raises(InvalidJobData, match=r"which another process can import, got .*<locals>\.Hidden"):
        EverythingJob.create(anything=Hidden.ONE, session=session)


@pytest.mark.parametrize(
    "data",
    [
        {"$enum": ["os.system", "x"]},
        {"$enum": ["guestapp.Customer", "x"]},
        {"$enum": ["guestapp.Colour", "GREEN"]},
        {"$enum": ["antigravity.Colour", "RED"]},
        {"$object": ["builtins.object", [1]]},
        {"$object": ["guestapp.Colour", ["RED"]]},
        {"$object": 7},
        {"$UUID": "x"},
        {"$bytes": "*"},
        {"$Decimal": "x"},
        {"$set": [[1]]},
        {"$pickle": "x"},
    ],
)
def test_a_row_names_only_enums_and_mapped_classes_that_are_imported(session: Session, data: object) -> None:
    job = EverythingJob.create(session=session)
    job.metadata["anything"] = data
    with pytest.raises(InvalidJobData, match="expected"):
        _ = job.anything
    assert "antigravity" not in sys.modules


def test_a_job_about_an_object_that_is_gone_fails_alone_and_says_so(guest: Instance) -> None:
    with guest.session() as session:
        gone, there = Customer(), Customer()
        session.add_all([gone, there])
        first, second = LetterJob.create(gone, template="a").id, LetterJob.create(there, template="a").id
    guest.query("DELETE FROM customer WHERE id = 1")
    guest.run("letter")
    assert guest.row(first).status is JobStatus.FAILED
    assert "expected Customer 1 to be in the database, it is gone" in str(guest.row(first).log)
    assert guest.row(second).status is JobStatus.COMPLETED


def test_a_job_about_anything_finds_its_target_by_the_name_on_its_row(guest: Instance) -> None:
    with guest.session() as session:
        company = Company()
        session.add(company)
        about = AboutAnythingJob.create(company).id
        about_nothing = AboutAnythingJob.create(session=session).id
    guest.run("anything")
    assert guest.row(about).json_data == {"was": "Company"}
    assert guest.row(about_nothing).json_data == {"was": "NoneType"}


def test_a_target_may_have_a_key_of_several_parts(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer()
        session.add(customer)
        session.flush()
        line = Line(customer_id=customer.id, code='a"b')
        session.add(line)
        number = LineJob.acquire(line).id
        assert LineJob.acquire(line).id == number
    guest.run("line")
    assert guest.row(number).json_data == {"was": 'a"b'}


def test_objects_that_arguments_name_are_loaded_before_the_job_begins(
    guest: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that works elsewhere first must not hold a transaction meanwhile."""
    open_transactions = []

    def run(self: EverythingJob) -> None:
        assert self.customer is not None
        open_transactions.append((self.customer.name, self.lines[0].code, self.session.in_transaction()))

    monkeypatch.setattr(EverythingJob, "run", run)
    with guest.session() as session:
        customer = Customer()
        session.add(customer)
        session.flush()
        line = Line(customer_id=customer.id, code="x")
        session.add(line)
        session.flush()
        EverythingJob.create(customer=customer, lines=[line], session=session)
    guest.run("everything")
    assert open_transactions == [("Ada", "x", False)]


@pytest.mark.feature("LP-09")
def test_acquire_finds_the_job_for_a_target_that_has_no_table(session: Session, customer: Customer) -> None:
    made = LetterJob.create(customer, template="a")
    assert LetterJob.acquire(customer, template="b") == made
    made.job.cancel()
    again = LetterJob.acquire(customer, template="b")
    assert again != made
    assert LetterJob.acquire(customer, template="c") == again
    other = Customer()
    session.add(other)
    assert LetterJob.acquire(other, template="a") not in (made, again)


def test_a_target_must_be_declared(session: Session, customer: Customer) -> None:
    with pytest.raises(InvalidJobData, match=r"by an annotation such as target: Customer, or to get no target"):
        EverythingJob.create(customer)
    with pytest.raises(InvalidJobData, match="expected a target for LetterJob, got none"):
        LetterJob.create(template="a", session=session)
    with pytest.raises(InvalidJobData, match="expected a mapped object as the job's target, got str: 'Ada'"):
        LetterJob.create("Ada", template="a", session=session)
    line = Line(customer_id=customer.id, code="x")
    session.add(line)
    with pytest.raises(InvalidJobData, match=r"expected target of LetterJob to be guestapp\.Customer, got"):
        LetterJob.create(line, template="a")


def test_fields_of_an_interface_are_checked_as_well(session: Session) -> None:
    job = SchemaJob.create(subject="hello", session=session)
    assert (job.subject, job.copies, job.note, job.size) == ("hello", 2, None, 5)
    with pytest.raises(InvalidJobData, match="expected subject for SchemaJob, got none"):
        SchemaJob.create(session=session)
    with pytest.raises(
        InvalidJobData, match="expected copies of SchemaJob to be Int, min 1, max 5, got 9: Value is too big"
    ):
        SchemaJob.create(subject="hello", copies=9, session=session)
    with pytest.raises(
        InvalidJobData, match=r"expected subject of SchemaJob to be TextLine, .*max_length 10, got 'a"
    ):
        SchemaJob.create(subject="a" * 11, session=session)
    with pytest.raises(InvalidJobData, match=r"expected note of SchemaJob to be .*, got 7"):
        SchemaJob.create(subject="hello", note=7, session=session)


def test_a_class_sets_its_own_limits_and_a_job_cannot_pass_them_by_changing_its_data(guest: Instance) -> None:
    with guest.session() as session:
        with pytest.raises(InvalidJobData, match="at most 100 bytes"):
            LargeJob.create(metadata={"a": "b" * 100}, session=session)
        with pytest.raises(InvalidJobData, match="at most 3 levels"):
            LargeJob.create(metadata={"a": [[[1]]]}, session=session)
        number = LetterJob.create(_added(session, Customer()), template="a").id
        letter = LetterJob.get(number, session=session)
        letter.metadata["a"] = "b" * (1 << 21)
        with pytest.raises(InvalidJobData, match="at most 1048576 bytes"):
            session.flush()
        session.rollback()
        letter = LetterJob.create(_added(session, Customer()), template="a")
        letter.metadata["a"] = {1, 2}
        with pytest.raises(InvalidJobData, match=r"expected metadata\['a'\] to be JSON"):
            session.flush()
        session.rollback()


def _added(session: Session, customer: Customer) -> Customer:
    session.add(customer)
    return customer


def test_a_job_type_without_run_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(
        IncompleteJobType, match=r"Nothing, whose job type is GuestJobType\.LETTER, to have a method run"
    ):

        class Nothing(BaseRunnableJob):
            class_job_type = guestapp.GuestJobType.LETTER


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "class Again(B):\n    class_job_type = G.LETTER\n    def run(self): ...",
            "got two: guestapp.LetterJob and broken.Again",
        ),
        (
            "class Empty(B):\n    class_job_type = T.NEW",
            "expected broken.Empty, whose job type is T.NEW, to have a method run",
        ),
    ],
)
def test_a_class_that_cannot_be_a_job_type_is_a_message_of_the_script(
    guest: Instance, code: str, message: str
) -> None:
    (guest.path / "broken.py").write_text(
        "from jobcron import BaseRunnableJob as B, JobType\nfrom guestapp import GuestJobType as G\n"
        f"class T(JobType):\n    NEW = 1\n{code}\n"
    )
    path = guest.path / "jobcron.conf"
    path.write_text(
        path.read_text().replace("guestapp", "broken", 1).replace("python_path: ", f"python_path: {guest.path} ")
    )
    _, err = guest.command("run", "letter", expect=2)
    assert "key application: expected the module broken to be importable" in err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.feature("LP-08")
def test_a_job_made_in_their_session_goes_with_their_rollback(guest: Instance) -> None:
    engine = create_engine(guest.database.engine.url)
    with Session(engine) as session:
        customer = _added(session, Customer())
        LetterJob.create(customer, template="a", session=session)
        session.rollback()
        customer = _added(session, Customer())
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


def test_a_target_of_another_session_or_of_none_is_refused(session: Session, customer: Customer) -> None:
    with pytest.raises(InvalidJobData, match="to be in a session, it is in none"):
        LetterJob.create(Customer(), template="a", session=session)
    with Session(session.get_bind()) as other:
        theirs = _added(other, Customer())
        with pytest.raises(InvalidJobData, match="it is in another one"):
            LetterJob.create(theirs, template="a", session=session)


def test_a_target_of_another_database_is_refused(guest: Instance, tmp_path: Path) -> None:
    elsewhere = create_engine(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    guestapp.Base.metadata.create_all(elsewhere)
    with Session(binds={guestapp.Base: elsewhere, Job: guest.database.engine}) as session:
        customer = _added(session, Customer())
        with pytest.raises(
            InvalidJobData, match=r"to be in the database of the jobs, .*, it is in .*elsewhere\.db"
        ):
            LetterJob.create(customer, template="a")
    with (
        Session(elsewhere) as session,
        pytest.raises(SchemaMismatch, match=r"elsewhere\.db, found none: run `jobcron upgrade`"),
    ):
        LetterJob.create(_added(session, Customer()), template="a")
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


def test_jobs_are_made_without_importing_a_runner() -> None:
    code = (
        "import sys, guestapp, sqlalchemy.orm as o\n"
        "try: guestapp.EverythingJob.create(session=None)\n"
        "except Exception as error: assert 'database session' in str(error), error\n"
        "loaded = [m for m in sys.modules if m.startswith('jobcron.')]\n"
        "print([m for m in loaded if m.split('.')[1] in "
        "('runner', 'script', 'feed', 'keeper', 'finish', 'oops', 'notify', 'config', 'operate')])\n"
        "print([m for m in ('alembic', 'lazr.config', 'oops', 'smtplib') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(APPS)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


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
        customer = _added(session, Customer())
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


def test_types_that_no_class_has_are_listed_and_their_jobs_left_alone(instance: Instance) -> None:

    job = instance.act()
    instance.query(
        "INSERT INTO jobcron_type (name) VALUES ('foo_job.REMOVED'), ('other.THING'), ('foo_job.NEVER_USED')"
    )
    for name in ("foo_job.REMOVED", "other.THING"):
        instance.query(
            "INSERT INTO jobcron_job (uuid, type, json_data) "
            "SELECT '6f1c3b0f-7a0e-4f0e-8d2a-5b1c9e3d4f5a', id, '{}' FROM jobcron_type WHERE name = :name",
            name=name,
        )
    instance.query(
        "INSERT INTO foo_job (job, job_type, foo_id) SELECT max(job.id), 99, max(foo.id) FROM jobcron_job job, foo"
    )
    with instance.database.begin() as connection:
        assert known_types.unclaimed(connection) == [("foo_job.REMOVED", "1"), ("other.THING", "1")]
    log = instance.run("act")
    assert "1 pending jobs of the type foo_job.REMOVED, which no class of this application has." in log
    assert "other.THING" not in log  # another family, perhaps of another application
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [row.status for row in instance.rows() if row.id != job] == [JobStatus.WAITING] * 2


def test_a_section_with_jobs_in_every_minute_is_told_of_types_without_a_class_once_in_each_interval(
    instance: Instance,
) -> None:
    hour = 3600
    instance.configure("activity_interval: 1h")
    left = hour - time.time() % hour
    if left < 20:  # the whole test is to be in one hour of the clock
        time.sleep(left)
    instance.act()
    instance.run("act")
    instance.query("UPDATE jobcron_type SET name = 'foo_job.REMOVED' WHERE name = 'foo_job.DO_FOO'")
    instance.query(
        "INSERT INTO jobcron_job (uuid, type, json_data) SELECT '6f1c3b0f-7a0e-4f0e-8d2a-5b1c9e3d4f5a', id, '{}' "
        "FROM jobcron_type WHERE name = 'foo_job.REMOVED'"
    )
    # The last run was a moment before the hour.
    seconds = time.time() % hour + 1
    before = {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{seconds} seconds')",
        "postgresql": f"now() - interval '{seconds} seconds'",
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_run SET date_started = {before}")
    instance.act()
    told = [instance.run("act").count("which no class of this application has") for _ in range(2)]
    assert told == [1, 0]
    instance.act()
    assert "which no class" not in instance.run("act")
    instance.act()
    assert "REMOVED" not in instance.run("act")  # once in each activity_interval


def test_json_is_what_both_databases_keep() -> None:
    json_data.check({"a": [1, 1.5, None, True, "ü", 1 << 70]}, "data")
    with pytest.raises(InvalidJobData, match="expected data to be JSON"):
        json_data.check(b"bytes", "data")


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
        number = LetterJob.create(_added(session, Customer()), template="a").id
    guest.command("run", "letter")
    row = guest.row(number)
    assert row.status is JobStatus.FAILED
    assert "the job must not call remove()" in str(row.log)
    assert guest.query("SELECT letters FROM customer") == [(0,)]


def test_an_application_finds_the_instance_that_the_script_was_given(guest: Instance) -> None:
    (guest.path / "asking.py").write_text(
        "from guestapp import LetterJob\nfrom jobcron import load_settings\n"
        "at_import = load_settings().path\n"
        "def run(self): self.metadata['paths'] = [at_import, load_settings().path]\n"
        "LetterJob.run = run\n"
    )
    conf = guest.path / "jobcron.conf"
    text = conf.read_text().replace("application: guestapp", "application: asking")
    conf.write_text(text.replace("python_path: ", f"python_path: {guest.path} "))
    with guest.session() as session:
        number = LetterJob.create(_added(session, Customer()), template="a").id
    guest.command("--config", str(guest.path), "run", "letter", extra_env={"JOBCRON_CONFIG": "/nowhere/at/all"})
    assert guest.row(number).json_data["paths"] == [str(conf)] * 2
    conf.write_text(conf.read_text().replace("application: asking", "application: guestapp"))
    guest.run("letter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBCRON_CONFIG", "/nowhere/at/all")
        with pytest.raises(ConfigurationError):  # a script in a test leaves nothing behind
            load_settings()


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


@pytest.mark.parametrize("url", ["postgres://me@db/x", "postgresql://me@db/x"])
def test_an_application_can_hand_the_url_on(guest: Instance, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("JOBCRON_DATABASE_URL", url)
    assert load_settings(str(guest.path)).database_url == "postgresql+psycopg2://me@db/x"


def test_the_jobs_about_a_target_are_found_newest_first(session: Session, customer: Customer) -> None:
    first, second = LetterJob.create(customer, template="a"), LetterJob.create(customer, template="b")
    first.cancel()
    other = _added(session, Customer())
    LetterJob.create(other, template="c")
    AboutAnythingJob.create(customer)
    assert list(LetterJob.about(customer)) == [second, first]
    assert first.status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    "crafted",
    [
        {"customer": {"$object": ["guestapp.Customer", ["no number"]]}},
        {"customer": {"$object": ["guestapp.Customer", [{"$set": []}]]}},
        {"customer": {"$object": ["guestapp.Customer", [1, 2, 3]]}},
        {"customer": {"$object": ["guestapp.Customer", []]}},
        {"customer": {"$object": ["guestapp.Line", [1]]}},
        {"customer": {"$object": ["guestapp.Customer", [10**30]]}},
        {"customer": {"$object": ["os.path", [1]]}},
        {"customer": {"$object": {"a": 1}}},
        {"customer": {"$object": ["guestapp.Customer", [[1]]]}},
        {"customer": {"$object": ["guestapp.Customer", [{"$object": ["guestapp.Customer", [1]]}]]}},
    ],
)
def test_a_row_with_crafted_references_fails_alone(guest: Instance, crafted: dict[str, Any]) -> None:
    with guest.session() as session:
        customer = _added(session, Customer())
        session.flush()
        good = [EverythingJob.create(customer=customer, session=session).id for _ in range(2)]
        bad = EverythingJob.create(session=session).id
        good += [EverythingJob.create(customer=customer, session=session).id for _ in range(2)]
    value = "CAST(:data AS jsonb)" if guest.database.dialect == "postgresql" else ":data"
    guest.query(f"UPDATE jobcron_job SET json_data = {value} WHERE id = :id", data=json.dumps(crafted), id=bad)
    guest.run("everything")
    guest.query("UPDATE jobcron_job SET scheduled_start = date_created WHERE status = 0")
    guest.run("everything")
    assert [guest.row(job).status for job in good] == [JobStatus.COMPLETED] * 4
    assert guest.row(bad).status is JobStatus.FAILED


@pytest.mark.parametrize("key", [["no number"], [[1]], [{"$object": ["guestapp.Customer", [1]]}]])
def test_a_crafted_row_fails_alone_where_a_source_finds_its_jobs_itself(guest: Instance, key: list[Any]) -> None:
    with guest.session() as session:
        customer = _added(session, Customer())
        session.flush()
        jobs = [OwnWayJob.create(customer=customer, session=session).id for _ in range(3)]
    value = "CAST(:data AS jsonb)" if guest.database.dialect == "postgresql" else ":data"
    crafted = json.dumps({"customer": {"$object": ["guestapp.Customer", key]}})
    guest.query(f"UPDATE jobcron_job SET json_data = {value} WHERE id = :id", data=crafted, id=jobs[1])
    guest.run("own_way")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_what_only_looks_like_a_reference_is_data_where_nothing_declares_it(guest: Instance) -> None:
    looks = {"$object": ["guestapp.Customer", [[1]]]}
    with guest.session() as session:
        job = EverythingJob.create(metadata={"of the user": looks}, session=session).id
    guest.run("everything")
    assert guest.row(job).status is JobStatus.COMPLETED
    assert guest.row(job).json_data["of the user"] == looks


@pytest.mark.parametrize("key", ["no json", '{"$set": [[]]}', '"x"', "[1, 2]", "[]", "1" * 40])
def test_a_row_with_a_crafted_target_fails_alone(guest: Instance, key: str) -> None:
    with guest.session() as session:
        jobs = [LetterJob.create(_added(session, Customer()), template="a").id for _ in range(3)]
    guest.query("UPDATE jobcron_job SET target_id = :key WHERE id = :id", key=key, id=jobs[1])
    guest.run("letter")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_an_argument_cannot_have_the_name_of_something_that_every_job_has() -> None:
    with pytest.raises(IncompleteJobType, match="to have names of their own, got status, which every job has"):

        class Confused(BaseRunnableJob):
            status: str  # type: ignore[assignment]


def test_a_number_that_cannot_be_written_is_refused(session: Session) -> None:
    with pytest.raises(InvalidJobData, match="to be a number of at most 4096 bits"):
        EverythingJob.create(anything=10**5000, session=session)
