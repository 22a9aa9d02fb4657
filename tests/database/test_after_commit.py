"""Actions after the commit: nothing leaves if the transaction does not commit."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from instances import Instance
from jobcron import after_commit, new_mail, send
from jobcron.testing import outbox


@pytest.fixture
def own(instance: Instance) -> Session:
    """Return a session with connections of its own."""
    return instance.database.session()


def test_an_action_is_done_once_after_the_commit(own: Session, instance: Instance) -> None:
    done: list[str] = []
    instance.foo(own)
    after_commit(own, lambda: done.append("mail"))
    assert done == []
    own.commit()
    instance.foo(own)
    own.commit()
    assert done == ["mail"]


@pytest.mark.parametrize("end", ["rollback", "close", "invalidate"])
def test_an_action_is_dropped_however_the_transaction_ends(own: Session, instance: Instance, end: str) -> None:
    done: list[str] = []
    instance.foo(own)
    after_commit(own, lambda: done.append("mail"))
    getattr(own, end)()
    instance.foo(own)
    own.commit()
    assert done == []


def test_a_savepoint_takes_its_own_actions_along_and_no_others(own: Session, instance: Instance) -> None:
    done: list[str] = []
    instance.foo(own)
    after_commit(own, lambda: done.append("outer"))
    with own.begin_nested() as savepoint:
        after_commit(own, lambda: done.append("undone"))
        savepoint.rollback()
    with own.begin_nested():
        after_commit(own, lambda: done.append("released"))
    assert done == []
    own.commit()
    assert done == ["outer", "released"]


def test_an_action_that_fails_leaves_the_commit_and_the_session_as_they_are(
    own: Session, instance: Instance
) -> None:
    def fail() -> None:
        raise OSError("no mail server")

    instance.foo(own)
    after_commit(own, fail)
    with pytest.raises(OSError, match="no mail server"):
        own.commit()
    instance.foo(own)
    own.commit()
    assert instance.query("SELECT count(*) FROM foo") == [(2,)]


def test_an_action_of_a_job_that_fails_is_logged_and_the_job_is_completed(instance: Instance) -> None:
    job = instance.act(("write", "effect"), ("later", "fail"))
    log = instance.run("act")
    assert "An action after the commit failed; the commit stands:" in log
    assert "no mail server" in log
    assert "Ran 1 ActJob jobs." in log
    assert instance.ledger() == [(job, 1, "effect")]


def test_what_a_failed_job_wanted_to_do_later_is_not_done_by_its_neighbours_commit(instance: Instance) -> None:
    instance.act(("later", "fail"), ("raise", "value"))
    instance.act(("write", "effect"))
    assert "no mail server" not in instance.run("act")


def test_mail_in_a_test_goes_to_the_outbox(session: Session) -> None:
    after_commit(session, lambda: send(["you@example.com"], new_mail("Hello", "World")))
    session.commit()
    (mail,) = outbox()
    assert (mail["To"], mail["Subject"]) == ("you@example.com", "Hello")
