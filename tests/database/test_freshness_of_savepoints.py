"""The rollback of a savepoint frees the locks of rows: what is written afterwards is compared with them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import JSON, String, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from instances import Instance
from jobcron.errors import ChangedMeanwhile

Write = Callable[[Session, "Account"], None]

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""On SQLite nobody else can write while the job's transaction has the lock."""


class Models(DeclarativeBase):
    """Accounts."""


class Account(Models):
    __tablename__ = "savepoint_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String, unique=True)
    data: Mapped[dict[str, int]] = mapped_column(MutableDict.as_mutable(JSON), default=dict)


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session of jobs, and two accounts."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        session.add_all([Account(id=1, name="one"), Account(id=2, name="two")])
    with instance.database.session() as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    """Return the first account, as an earlier transaction read it."""
    account = session.get_one(Account, 1)
    session.commit()
    session.execute(text("SELECT 1"))  # begins the next transaction
    return account


def roll_back(session: Session, account: Account) -> None:
    savepoint = session.begin_nested()
    account.total, account.data = 7, {"a": 7}
    session.flush()
    savepoint.rollback()


def roll_back_the_outer_one(session: Session, account: Account) -> None:
    savepoint = session.begin_nested()
    with session.begin_nested():
        account.total, account.data = 7, {"a": 7}
    savepoint.rollback()


def roll_back_what_is_changed_in_place(session: Session, account: Account) -> None:
    savepoint = session.begin_nested()
    account.total = 7
    account.data["a"] = 7
    session.flush()
    savepoint.rollback()


def fail(session: Session, account: Account) -> None:
    with suppress(IntegrityError), session.begin_nested():
        account.total, account.data, account.name = 7, {"a": 7}, "two"


def fail_elsewhere(session: Session, account: Account) -> None:
    with suppress(IntegrityError), session.begin_nested():
        session.add(Account(id=3, name="two"))


@ON_POSTGRESQL
@pytest.mark.feature("N-13")
@pytest.mark.parametrize(
    "write", [roll_back, roll_back_the_outer_one, roll_back_what_is_changed_in_place, fail, fail_elsewhere]
)
@pytest.mark.parametrize("key", ["total", "data"])
def test_what_others_commit_after_the_rollback_is_not_written_over(
    instance: Instance, session: Session, account: Account, write: Write, key: str
) -> None:
    before = {"total": account.total, "data": dict(account.data)}
    session.commit()
    session.execute(text("SELECT 1"))
    write(session, account)
    with instance.session() as other:
        theirs = other.get_one(Account, 1)
        theirs.total, theirs.data = 100, {"b": 100}
    setattr(account, key, before[key])  # without reading the row again
    with pytest.raises(ChangedMeanwhile, match=f"another session changed {key} of Account"):
        session.commit()
    session.rollback()
    assert (account.total, account.data) == (100, {"b": 100})


@pytest.mark.feature("N-13")
@pytest.mark.parametrize(
    "write", [roll_back, roll_back_the_outer_one, roll_back_what_is_changed_in_place, fail, fail_elsewhere]
)
def test_what_the_transaction_wrote_before_the_savepoint_stays_its_own(
    session: Session, account: Account, write: Write
) -> None:
    account.total, account.data = 3, {"a": 3}
    session.flush()
    write(session, account)
    account.total, account.data = 4, {"a": 4}
    session.commit()
    session.refresh(account)
    assert (account.total, account.data) == (4, {"a": 4})


@pytest.mark.feature("N-13")
@pytest.mark.parametrize(
    "write", [roll_back, roll_back_the_outer_one, roll_back_what_is_changed_in_place, fail, fail_elsewhere]
)
def test_what_nobody_else_has_changed_is_written_after_the_rollback(
    session: Session, account: Account, write: Write
) -> None:
    write(session, account)
    account.total, account.data = 4, {"a": 4}
    session.commit()
    session.refresh(account)
    assert (account.total, account.data) == (4, {"a": 4})
