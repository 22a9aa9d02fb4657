"""What notification methods write, and mails that cannot be sent: nothing of it is lost in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fooapp import ActJob, Ledger
from instances import Instance
from jobcron import JobStatus
from jobcron.reports.mail import post
from jobcron.scripts._telling import unsent_mail


class Server:
    """Stands for a mail server: keeps what it gets, and refuses a number of mails."""

    def __init__(self) -> None:
        self.refusals = 0
        self.got: list[Any] = []

    def __call__(self, message: Any) -> None:
        """Take a mail, or refuse it."""
        if self.refusals:
            self.refusals -= 1
            raise OSError("come back later")
        self.got.append(message)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return the mail server of all runs in this process."""
    server = Server()
    monkeypatch.setattr(type(post), "configure", lambda self, *settings: setattr(self, "transport", server))
    monkeypatch.setattr(ActJob, "getErrorRecipients", lambda self: ["ada@example.com"])
    monkeypatch.setattr(ActJob, "getOopsRecipients", lambda self: ["boss@example.com"])
    before = post.transport
    yield server
    post.transport = before


def inbox(instance: Instance) -> list[str]:
    return [note for _, _, note in instance.ledger()]


def write(job: Any, note: str) -> None:
    job.session.add(Ledger(job=job.job.id, attempt=1, note=note))


def waiting(instance: Instance) -> list[tuple[int, int]]:
    return [(job, tries) for job, tries in instance.query("SELECT job, tries FROM jobcron_mail ORDER BY job")]


def later(instance: Instance) -> None:
    """Let all that waits be due."""
    instance.query("UPDATE jobcron_mail SET due = (SELECT date_created FROM jobcron_job WHERE id = job)")


@pytest.mark.feature("LP-20")
@pytest.mark.parametrize(("kind", "method"), [("user", "notifyUserError"), ("value", "notifyOops")])
def test_what_a_notification_writes_in_the_jobs_session_is_committed(
    instance: Instance, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str, method: str
) -> None:
    def notify(job: Any, what: object) -> None:
        write(job, "inbox")
        made.append(ActJob.create(job.context.foo, metadata={"do": []}).job.id)
        original(job, what)

    made: list[int] = []
    original = getattr(ActJob, method)
    monkeypatch.setattr(ActJob, method, notify)
    job = instance.act(("write", "undone"), ("raise", kind))
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert inbox(instance) == ["inbox"]
    assert len(server.got) == 1
    assert instance.row(made[0]).status is JobStatus.COMPLETED  # a job that the notification made


@pytest.mark.feature("LP-20")
def test_what_a_notification_writes_and_the_database_refuses_is_told(
    instance: Instance, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notify(job: Any, error: object) -> None:
        write(job, "inbox")
        job.session.add(Ledger(job=-1, attempt=None, note=None))

    monkeypatch.setattr(ActJob, "notifyUserError", notify)
    job = instance.act(("raise", "user"))
    log = instance.run("act")
    assert "Nobody could be told" in log
    assert instance.events(job) == ["user error", "not told"]
    assert inbox(instance) == []
    ((detail,),) = instance.query("SELECT detail FROM jobcron_event WHERE kind = 'not told'")
    assert "NULL" in detail.upper()


@pytest.mark.feature("LP-20")
def test_a_notification_that_fails_is_in_the_history_and_its_writes_are_undone(
    instance: Instance, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notify(job: Any, error: BaseException) -> None:
        original(job, error)
        write(job, "inbox")
        job.session.flush()
        raise KeyError("no inbox")

    server.refusals = 1
    original = ActJob.notifyUserError
    monkeypatch.setattr(ActJob, "notifyUserError", notify)
    job = instance.act(("raise", "user"))
    instance.run("act")
    assert instance.events(job) == ["user error", "not told", "mail waits"]
    assert inbox(instance) == []


@pytest.mark.feature("N-01", "LP-20")
def test_what_is_written_about_a_job_that_another_run_has_taken_is_refused(
    instance: Instance, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notify(job: Any, error: object) -> None:
        instance.query("UPDATE jobcron_job SET lease_token = lease_token + 1")
        write(job, "inbox")

    monkeypatch.setattr(ActJob, "notifyUserError", notify)
    job = instance.act(("raise", "user"))
    assert "Nobody could be told" in instance.run("act")
    assert inbox(instance) == []
    assert "not told" in instance.events(job)


@pytest.mark.feature("LP-19", "LP-20")
@pytest.mark.parametrize("kind", ["user", "value"])
def test_a_mail_that_cannot_be_sent_waits_in_the_history_and_a_later_run_sends_it(
    instance: Instance, server: Server, kind: str
) -> None:
    server.refusals = 1
    job = instance.act(("raise", kind))
    log = instance.run("act")
    assert "Nobody could be told" in log
    assert waiting(instance) == [(job, 1)]
    assert instance.events(job)[-1] == "mail waits"
    assert server.got == []
    instance.act()
    instance.run("act")  # not due yet
    assert waiting(instance) == [(job, 1)]
    server.refusals = 1
    later(instance)
    instance.act()
    assert "(try 2): come back later" in instance.run("act")
    assert waiting(instance) == [(job, 2)]
    later(instance)
    instance.act()
    instance.run("act")
    assert waiting(instance) == []
    assert instance.events(job)[-2:] == ["mail waits", "mail sent"]
    (mail,) = server.got
    assert mail["To"] == ("ada@example.com" if kind == "user" else "boss@example.com")
    assert "An error happened during the following operation" in mail.get_content()


@pytest.mark.feature("LP-19")
def test_a_mail_that_nobody_takes_is_given_up_in_the_end(instance: Instance, server: Server) -> None:
    server.refusals = 1000
    job = instance.act(("raise", "value"))
    instance.run("act")
    for _ in range(unsent_mail.MAX_TRIES - 1):
        assert len(waiting(instance)) == 1
        later(instance)
        unsent_mail.send_again(instance.database, logging.getLogger())
    assert waiting(instance) == []
    assert instance.events(job)[-2:] == ["mail waits", "mail given up"]
    assert server.refusals == 1000 - unsent_mail.MAX_TRIES


def test_a_mail_server_that_is_away_is_asked_once_by_a_run(instance: Instance, server: Server) -> None:
    server.refusals = 3
    jobs = [instance.act(("raise", "value")) for _ in range(3)]
    instance.run("act")
    server.refusals = 1
    later(instance)
    instance.act()
    instance.run("act")
    assert sorted(tries for _, tries in waiting(instance)) == [1, 1, 2]
    instance.act()
    instance.run("act")
    assert len(server.got) == 2  # the others, which are still due
    assert [instance.events(job).count("mail sent") for job in jobs].count(1) == 2
