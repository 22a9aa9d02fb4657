"""A second session commits between every two statements of a job: nothing that it commits is lost.

The job adds to a counter in one of the ways below, and the second session adds 100 to it, at one chosen moment of
each run. At the end both must be in the sum, whether the job was interrupted and ran again or not.

A row that a job reads and writes in one and the same transaction is the affair of the isolation level: in READ
COMMITTED PostgreSQL lets others change it in between. There the second session keeps away at those moments, and
the jobs run once more in REPEATABLE READ, where it acts at each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from fooapp import Foo, Ledger
from instances import Instance
from second_session import Case, SecondSession, act_at_each_moment

Way = Callable[[Any, Foo], None]


def in_place(job: Any, foo: Foo) -> None:
    foo.frozzled += 1


def computed_before_the_transaction(job: Any, foo: Foo) -> None:
    foo.frozzled = foo.frozzled + 1  # no transaction is open
    job.session.flush()


def computed_before_a_checkpoint(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.checkpoint()
    foo.frozzled = before + 1


def after_a_checkpoint_that_wrote_the_row(job: Any, foo: Foo) -> None:
    foo.name += "!"
    job.checkpoint()
    foo.frozzled += 1


def flushed_twice(job: Any, foo: Foo) -> None:
    foo.frozzled += 3
    job.session.flush()
    foo.frozzled -= 2


def in_a_savepoint(job: Any, foo: Foo) -> None:
    with job.session.begin_nested():
        foo.frozzled += 1


def after_a_savepoint_that_was_rolled_back(job: Any, foo: Foo) -> None:
    nested = job.session.begin_nested()
    foo.frozzled += 7
    job.session.flush()
    nested.rollback()
    foo.frozzled += 1


def after_one_in_which_a_flush_failed(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.checkpoint()
    with suppress(IntegrityError), job.session.begin_nested():
        job.session.add(Ledger(job=job.job.id))  # its attempt is missing
    foo.frozzled = before + 1


def unread_after_one_that_was_rolled_back(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.checkpoint()
    nested = job.session.begin_nested()
    foo.frozzled = before + 7
    job.session.flush()
    nested.rollback()
    foo.frozzled = before + 1


def found_by_a_query(job: Any, foo: Foo) -> None:
    job.session.scalars(select(Foo)).one().frozzled += 1


def refreshed(job: Any, foo: Foo) -> None:
    job.session.refresh(foo)
    foo.frozzled += 1


def expired(job: Any, foo: Foo) -> None:
    job.session.expire(foo)
    foo.frozzled += 1


def merged(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.session.merge(Foo(id=foo.id, frozzled=before + 1))


def locked_first(job: Any, foo: Foo) -> None:
    job.session.get(Foo, foo.id, with_for_update=True, populate_existing=True).frozzled += 1


def by_a_statement(job: Any, foo: Foo) -> None:
    job.session.execute(update(Foo).values(frozzled=Foo.frozzled + 1))


def by_a_statement_and_in_place(job: Any, foo: Foo) -> None:
    job.session.execute(update(Foo).values(frozzled=Foo.frozzled + 2))
    foo.frozzled -= 1


def by_a_statement_and_unread(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.checkpoint()
    job.session.execute(update(Foo).values(frozzled=Foo.frozzled + 2))
    foo.frozzled = before + 1


WAYS: list[Way] = [
    in_place,
    computed_before_the_transaction,
    computed_before_a_checkpoint,
    after_a_checkpoint_that_wrote_the_row,
    flushed_twice,
    in_a_savepoint,
    after_a_savepoint_that_was_rolled_back,
    after_one_in_which_a_flush_failed,
    unread_after_one_that_was_rolled_back,
    found_by_a_query,
    refreshed,
    expired,
    merged,
    locked_first,
    by_a_statement,
    by_a_statement_and_in_place,
    by_a_statement_and_unread,
]


def rows(instance: Instance) -> None:
    """Let the foo begin at 0."""
    instance.query("UPDATE foo SET frozzled = 0")


def check(instance: Instance, acted: int) -> None:
    """Both have added to it."""
    ((total,),) = instance.query("SELECT frozzled FROM foo")
    assert total == 1 + 100 * acted


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_change_that_a_second_session_commits_is_lost(
    instance: Instance, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any, second: SecondSession) -> None:
        second.job_begins()
        foo = job.context.foo
        second.transaction_begins(job.session)
        way(job, foo)

    change = "UPDATE foo SET frozzled = frozzled + 100"
    act_at_each_moment(instance, Case(rows, "FROM foo", change, run, check), monkeypatch)
