"""Values that change in place, such as JSON: read again in each transaction, and written over no newer ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import JSON, PickleType, text
from sqlalchemy.ext.mutable import MutableDict, MutableList, MutableSet
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from instances import Instance
from jobcron.errors import ChangedMeanwhile


class Models(DeclarativeBase):
    """A table with such values."""


class Account(Models):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(default=0)
    plain: Mapped[Any] = mapped_column(JSON, default=dict)
    data: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON), default=dict)
    items: Mapped[Any] = mapped_column(MutableList.as_mutable(JSON), default=list)
    names: Mapped[Any] = mapped_column(MutableSet.as_mutable(PickleType), default=set)


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session of jobs, and a row."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        session.add(Account(id=1, plain={"a": 1}, data={"a": 1}, items=[1], names={"a"}))
    with instance.database.session() as session:
        yield session


def read(session: Session) -> Account:
    """Return the row, as an earlier transaction read it."""
    account = session.get_one(Account, 1)
    session.commit()
    return account


def change(instance: Instance) -> None:
    """Change each value, as another session."""
    with instance.session() as other:
        account = other.get_one(Account, 1)
        account.plain = {"a": 100}
        account.data["a"] = 100
        account.items.append(100)
        account.names.add("others")


def stored(instance: Instance) -> Account:
    """Return the row as it is committed."""
    with instance.database.session(writing=False) as session:
        account = session.get_one(Account, 1)
        session.expunge(account)
        return account


@pytest.mark.feature("N-13")
def test_such_a_value_is_read_again_when_a_transaction_begins(instance: Instance, session: Session) -> None:
    account = read(session)
    held = account.data, account.items, account.names
    change(instance)
    session.execute(text("SELECT 1"))
    assert (account.plain, account.data, account.items) == ({"a": 100}, {"a": 100}, [1, 100])
    assert account.names == {"a", "others"}
    assert all(one is other for one, other in zip(held, (account.data, account.items, account.names), strict=True))
    account.total = account.data["a"] + 1
    held[0]["b"] = 2  # the job has held it all the time
    account.items.append(3)
    held[2].add("ours")
    account.plain["b"] = 2
    flag_modified(account, "plain")
    session.commit()
    found = stored(instance)
    assert (found.total, found.data, found.items) == (101, {"a": 100, "b": 2}, [1, 100, 3])
    assert (found.plain, found.names) == ({"a": 100, "b": 2}, {"a", "others", "ours"})


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("is_changed", [False, True])
def test_a_value_that_the_job_holds_and_changes_is_written_unless_others_have_changed_it(
    instance: Instance, session: Session, has_begun: bool, is_changed: bool
) -> None:
    account = read(session)
    held, items = account.data, account.items
    if is_changed:
        change(instance)
    if has_begun:
        session.execute(text("SELECT 1"))

    def act() -> None:
        held["b"] = 2
        held["c"] = 3
        items.append(7)
        session.commit()

    if is_changed:
        with pytest.raises(ChangedMeanwhile, match="another session changed"):
            act()
        session.rollback()
        assert stored(instance).data == {"a": 100}
        return
    act()
    assert account.data is held  # without a transaction it is still there
    assert not session.in_transaction()
    held["d"] = 4
    session.commit()
    found = stored(instance)
    assert (found.data, found.items) == ({"a": 1, "b": 2, "c": 3, "d": 4}, [1, 7])


@pytest.mark.feature("N-13")
def test_a_value_that_is_not_read_stays_over_several_transactions(instance: Instance, session: Session) -> None:
    account = read(session)
    held = account.data
    for _ in range(2):
        session.execute(text("SELECT 1"))
        session.commit()
        assert account.data is held
        assert not session.in_transaction()
    session.execute(text("SELECT 1"))
    account.data = {"new": 1}
    held["lost"] = 1  # it is the row's no more
    session.commit()
    assert stored(instance).data == {"new": 1}


@pytest.mark.feature("N-13")
def test_a_value_that_was_changed_and_rolled_back_is_read_again(instance: Instance, session: Session) -> None:
    account = read(session)
    session.execute(text("SELECT 1"))
    account.data["b"] = 2
    session.flush()
    session.rollback()
    assert account.data == {"a": 1}
    account.data["c"] = 3
    session.commit()
    assert stored(instance).data == {"a": 1, "c": 3}


@pytest.mark.feature("N-13")
def test_json_that_is_changed_in_place_and_flagged_is_written_over_no_newer_one(
    instance: Instance, session: Session
) -> None:
    account = read(session)
    change(instance)
    account.plain["b"] = 2
    flag_modified(account, "plain")
    with pytest.raises(ChangedMeanwhile, match="another session changed plain of Account"):
        session.commit()
    session.rollback()
    account.plain["b"] = 2
    flag_modified(account, "plain")
    session.commit()
    assert stored(instance).plain == {"a": 100, "b": 2}
