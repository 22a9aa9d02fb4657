"""What a job's own statements have changed is not held to be changed by others; what others changed before is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import JSON, Pool, SingletonThreadPool, StaticPool, String, create_engine, event, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from instances import Instance
from jobcron import Database
from jobcron.database.database import AmbientDatabase
from jobcron.database.trouble import is_lost
from jobcron.errors import ChangedMeanwhile
from jobcron.testing import database_session

Write = Callable[[Session], object]


class Models(DeclarativeBase):
    """Accounts."""


class Account(Models):
    __tablename__ = "stated_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String, default="one")
    data: Mapped[dict[str, int]] = mapped_column(MutableDict.as_mutable(JSON), default=dict)


class Views(DeclarativeBase):
    """A view of the accounts."""


class Viewed(Views):
    __tablename__ = "viewed_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session of jobs, and an account."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        session.add(Account(id=1))
    with instance.database.session() as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    """Return the account, as an earlier transaction read it."""
    account = session.get_one(Account, 1)
    session.commit()
    return account


def by_text(session: Session) -> None:
    session.execute(text("UPDATE stated_account SET total = total + 2"))


def in_bulk(session: Session) -> None:
    session.execute(update(Account).values(total=Account.total + 2))


def by_core(session: Session) -> None:
    session.execute(update(Account.__table__).values(total=Account.total + 2))  # type: ignore[arg-type]


def in_a_savepoint(session: Session) -> None:
    with session.begin_nested():
        by_text(session)


def under_a_lock_of_the_table(session: Session) -> None:
    session.execute(text("ALTER TABLE stated_account ADD note integer"))
    by_text(session)


WAYS = [by_text, in_bulk, by_core, in_a_savepoint]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("key", ["total", "data"])
def test_a_column_that_the_job_s_own_statement_has_changed_is_written_unread(
    session: Session, account: Account, write: Write, key: str
) -> None:
    session.execute(text("""UPDATE stated_account SET data = '{"a": 2}'"""))
    write(session)
    setattr(account, key, {"total": 5, "data": {"b": 5}}[key])
    session.commit()
    session.refresh(account)
    assert getattr(account, key) == {"total": 5, "data": {"b": 5}}[key]


@pytest.mark.feature("N-13")
def test_a_row_that_the_job_s_own_statement_has_changed_can_be_deleted(
    instance: Instance, session: Session, account: Account
) -> None:
    by_text(session)
    session.delete(account)
    session.commit()
    assert instance.query("SELECT id FROM stated_account") == []


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("write", WAYS)
def test_what_others_had_committed_before_the_job_s_statement_is_not_written_over(
    instance: Instance, session: Session, account: Account, write: Write
) -> None:
    before = account.total
    session.commit()
    instance.query("UPDATE stated_account SET total = 100")
    write(session)
    account.total = before + 1
    with pytest.raises(ChangedMeanwhile, match="another session changed total of Account"):
        session.commit()
    session.rollback()
    assert account.total == 100


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_table_that_the_transaction_has_locked_is_not_waited_for(session: Session, account: Account) -> None:
    under_a_lock_of_the_table(session)
    account.total = 5
    with pytest.raises(ChangedMeanwhile):  # others cannot be asked
        session.commit()


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_row_is_that_of_the_schema_in_which_the_job_looks_for_its_tables(
    instance: Instance, session: Session, account: Account
) -> None:
    instance.query("CREATE SCHEMA tenant")
    instance.query("CREATE TABLE tenant.stated_account AS SELECT * FROM stated_account")
    path = text("SET search_path = tenant, public")
    session.execute(path)
    session.refresh(account)
    session.commit()
    instance.query("UPDATE tenant.stated_account SET total = 100")  # not so in the other schema
    session.execute(path)
    by_text(session)
    account.total = 1
    with pytest.raises(ChangedMeanwhile):
        session.commit()


def others_first(instance: Instance, session: Session) -> None:
    instance.query("UPDATE stated_account SET total = 100 WHERE id = 1")
    session.execute(text("INSERT INTO stated_account VALUES (7, 0, '', '{}')"))


def others_after_the_job_has_written(instance: Instance, session: Session) -> None:
    session.execute(text("INSERT INTO stated_account VALUES (7, 0, '', '{}')"))
    instance.query("UPDATE stated_account SET total = 100 WHERE id = 1")


def others_alone(instance: Instance, session: Session) -> None:
    instance.query("UPDATE stated_account SET total = 100 WHERE id = 1")


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", [others_first, others_after_the_job_has_written, others_alone])
def test_no_second_connection_is_waited_for_to_see_that_the_row_is_another_session_s(
    instance: Instance, session: Session, account: Account, change: Callable[[Instance, Session], None]
) -> None:
    # It would be waited for under locks: where a pooler has no more, whoever has it may wait for one of them.
    before = account.total
    session.commit()
    change(instance, session)
    taken: list[object] = []
    session.connection()
    event.listen(instance.database.engine, "checkout", lambda *about: taken.append(about))
    account.total = before + 1
    with pytest.raises(ChangedMeanwhile, match="another session changed total of Account"):
        session.flush()
    assert taken == []
    session.rollback()
    assert account.total == 100


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_is_lost_while_a_row_is_compared_is_told_as_lost(
    instance: Instance, session: Session, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = account.total
    session.commit()
    others_alone(instance, session)
    end = text("SELECT pg_terminate_backend(pg_backend_pid())")
    monkeypatch.setattr("jobcron.database._freshness.versions._asking", lambda mapper: end)
    account.total = before + 1
    with pytest.raises(DBAPIError) as raised:
        session.flush()
    assert is_lost(raised.value)


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_rows_of_a_view_are_compared_too(instance: Instance, session: Session, account: Account) -> None:
    session.execute(text("CREATE VIEW viewed_account AS SELECT id, total FROM stated_account"))
    viewed = session.get_one(Viewed, 1)
    before = viewed.total
    session.commit()
    session.execute(text("UPDATE viewed_account SET total = total + 2"))
    viewed.total = before + 1
    session.commit()
    before = viewed.total
    session.commit()
    instance.query("UPDATE stated_account SET total = 100")
    viewed.total = before + 1
    with pytest.raises(ChangedMeanwhile):
        session.commit()


@pytest.mark.feature("N-13")
def test_within_a_test_s_own_transaction_there_are_no_others(instance: Instance, session: Session) -> None:
    with database_session(instance.database.engine) as test, AmbientDatabase(test).session() as own:
        account = own.get_one(Account, 1)
        own.commit()
        by_text(own)
        account.total = 5
        own.commit()
        own.refresh(account)
        assert account.total == 5


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("pool", [SingletonThreadPool, StaticPool])
def test_nor_are_there_any_in_a_database_in_memory(pool: type[Pool]) -> None:
    database = Database("sqlite://")
    database.engine = create_engine("sqlite://", poolclass=pool)
    Models.metadata.create_all(database.engine)
    with database.session() as session:
        account = Account(id=1)
        session.add(account)
        session.commit()
        by_text(session)
        account.total = 5
        session.commit()
        session.refresh(account)
        assert account.total == 5
    database.close()
