"""What a job itself has written is read as it is then, and nobody else is held to have changed it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    REAL,
    Computed,
    Dialect,
    ForeignKey,
    Numeric,
    PickleType,
    String,
    TypeDecorator,
    inspect,
    text,
    update,
)
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from instances import Instance
from jobcron.errors import ChangedMeanwhile

Write = Callable[[Session, Any], None]


class Models(DeclarativeBase):
    """Owners, each with a desk, and accounts, with values of which a database or a type makes others."""


class Folded(TypeDecorator[str]):
    """Text that is stored in small letters."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else value.lower()


class Opaque:
    """An object without ``__eq__``."""


class Owner(Models):
    __tablename__ = "own_owner"

    id: Mapped[int] = mapped_column(primary_key=True)
    desk: Mapped[Desk | None] = relationship(back_populates="owner")


class Desk(Models):
    __tablename__ = "own_desk"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("own_owner.id"))
    owner: Mapped[Owner | None] = relationship(back_populates="desk")


class Account(Models):
    __tablename__ = "own_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    total: Mapped[int] = mapped_column(default=0)
    double: Mapped[int] = mapped_column(Computed("total * 2", persisted=True))
    touched: Mapped[int] = mapped_column(default=0, onupdate=1)
    price: Mapped[Any] = mapped_column(Numeric(10, 2), default=Decimal(1))
    ratio: Mapped[float | None] = mapped_column(REAL)
    name: Mapped[Any] = mapped_column(Folded, default="")
    plain: Mapped[Any] = mapped_column(JSON, default=dict)
    data: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON), default=dict)
    pickled: Mapped[Any] = mapped_column(PickleType, default=0)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("own_owner.id"))
    owner: Mapped[Owner | None] = relationship()

    __mapper_args__ = {"version_id_col": version}


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session of jobs, and rows: two owners, one with a desk, another desk, an account of the first."""
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        owners = [Owner(id=1), Owner(id=2)]
        session.add_all([*owners, Desk(id=1, owner=owners[0]), Desk(id=2), Account(id=1, owner=owners[0])])
    with instance.database.session() as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    """Return the account, as an earlier transaction read it with its owner."""
    account = session.get_one(Account, 1)
    assert account.owner is not None
    assert account.data == {}
    session.commit()
    session.execute(text("SELECT 1"))  # begins the next transaction
    return account


def by_sql(session: Session, account: Account) -> None:
    account.total = Account.total + 5


def expired(session: Session, account: Account) -> None:
    account.total = 5
    session.flush()
    session.expire(account)


def before_a_savepoint(session: Session, account: Account) -> None:
    account.total = 5
    account.data["a"] = 5
    session.flush()
    savepoint = session.begin_nested()
    account.total = 6
    account.data["a"] = 6
    session.flush()
    savepoint.rollback()


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("write", [by_sql, expired, before_a_savepoint])
def test_what_a_transaction_wrote_is_read_after_it_and_not_what_was_before(
    session: Session, account: Account, write: Write
) -> None:
    write(session, account)
    session.commit()
    assert account.total == 5
    assert account.data == ({"a": 5} if write is before_a_savepoint else {})
    session.commit()
    account.total += 1  # from what was read, in whichever transaction: nobody else has changed it
    session.commit()
    session.refresh(account)
    assert account.total == 6


def with_a_computed_column(session: Session, account: Account) -> None:
    account.total = 3
    session.commit()
    assert account.double == 6


def with_one_expired(session: Session, account: Account) -> None:
    account.total = 3
    session.commit()
    session.expire(account, ["total"])
    assert account.total == 3


def with_a_refreshed_one(session: Session, account: Account) -> None:
    account.total = 3
    session.commit()
    session.refresh(account, ["total"])


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("begin", [with_a_computed_column, with_one_expired, with_a_refreshed_one])
def test_no_column_is_empty_since_reading_another_one_began_the_transaction(
    session: Session, account: Account, begin: Write
) -> None:
    begin(session, account)
    assert (account.total, account.price, account.data) == (3, Decimal(1), {})
    assert account.owner is not None
    account.data["a"] = 1
    session.commit()
    assert (account.total, account.price, account.data, account.double) == (3, Decimal(1), {"a": 1}, 6)


@pytest.mark.feature("N-13")
def test_a_row_whose_expired_columns_are_being_read_can_be_pickled_for_others(
    session: Session, account: Account
) -> None:
    session.commit()
    session.expire(account, ["total"])
    assert account.total == 0
    assert type(pickle.loads(pickle.dumps(inspect(account).expired_attributes))) is set


@pytest.mark.feature("N-13")
def test_what_a_rolled_back_savepoint_changed_in_place_is_not_kept(session: Session, account: Account) -> None:
    savepoint = session.begin_nested()
    account.data["a"] = 1
    savepoint.rollback()
    session.commit()
    assert account.data == {}


@pytest.mark.feature("N-13")
def test_json_that_a_bulk_statement_of_the_job_wrote_is_read_after_it(session: Session, account: Account) -> None:
    session.execute(update(Account).values(data={"a": 7}))
    session.commit()
    assert account.data == {"a": 7}


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("writes", [True, False])
def test_a_relationship_is_that_of_its_foreign_key_after_the_transaction_that_wrote_or_read_the_key(
    instance: Instance, session: Session, account: Account, writes: bool
) -> None:
    if writes:
        account.owner_id = 2
    else:
        session.rollback()
        assert account.owner is not None
        session.commit()
        instance.query("UPDATE own_account SET owner_id = 2, version = 2")
        session.execute(text("SELECT 1"))
        assert account.owner_id == 2
    session.commit()
    assert account.owner is not None
    assert account.owner.id == 2


@pytest.mark.feature("N-13")
def test_a_relationship_to_one_is_what_the_other_side_s_key_says_after_it_was_written(session: Session) -> None:
    owner, other = session.get_one(Owner, 1), session.get_one(Desk, 2)
    desk = owner.desk
    assert desk is not None
    session.commit()
    session.execute(text("SELECT 1"))
    desk.owner_id = None
    session.flush()
    other.owner_id = 1
    session.commit()
    assert owner.desk is other


@pytest.mark.feature("N-13")
def test_a_row_that_the_same_transaction_updated_can_be_deleted(
    instance: Instance, session: Session, account: Account
) -> None:
    account.total = 3
    session.flush()
    session.delete(account)
    session.commit()
    assert instance.query("SELECT id FROM own_account") == []


@pytest.mark.feature("N-13")
@pytest.mark.parametrize(
    ("key", "value", "others"),
    [
        ("price", Decimal("1.005"), Decimal(3)),
        ("ratio", 0.1234567890123, 3.0),
        ("ratio", math.nan, 3.0),
        ("name", "Ada", "bob"),
        ("plain", {1: (1, 2)}, {"a": 3}),
        ("data", {1: (1, 2)}, {"a": 3}),
        ("pickled", Opaque(), 3),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_value_that_is_stored_as_another_one_is_not_held_to_be_changed_by_others(
    instance: Instance, session: Session, account: Account, key: str, value: Any, others: Any
) -> None:
    setattr(account, key, value)
    session.commit()
    setattr(account, key, others)  # without reading it again
    session.commit()
    setattr(account, key, value)
    session.commit()
    with instance.session() as other:
        setattr(other.get_one(Account, 1), key, others)
    setattr(account, key, value)
    with pytest.raises(ChangedMeanwhile, match=f"another session changed {key} of Account"):
        session.commit()


@pytest.mark.feature("N-13")
def test_a_value_that_does_not_equal_itself_is_not_held_to_be_changed_by_others(
    session: Session, account: Account
) -> None:
    account.pickled = [Opaque()]
    session.commit()
    session.refresh(account)
    assert len(account.pickled) == 1
    session.commit()
    session.delete(account)
    session.commit()


@pytest.mark.feature("N-13")
def test_json_that_was_put_back_after_a_transaction_is_not_expired_any_more(
    session: Session, account: Account
) -> None:
    session.commit()
    assert account.data == {}
    assert "data" not in inspect(account).expired_attributes
