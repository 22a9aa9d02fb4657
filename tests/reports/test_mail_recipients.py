"""Mail about jobs: to whom it goes, when, and what a server that refuses changes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from erringapp import make
from instances import Instance
from jobcron import JobStatus
from jobcron.jobs.job import Job
from recipientsapp import LoudJob, QuietJob


class Mailbox:
    """A mail server that keeps what it gets, and may refuse it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], bytes]] = []
        self.refusals = 0
        self.in_database: list[Any] = []
        self.look: Any = None
        self._lock = threading.Lock()

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Take a mail, as of aiosmtpd."""
        with self._lock:
            if self.refusals:
                self.refusals -= 1
                return "451 come back later"
            if self.look is not None:
                self.in_database.append(self.look())
            self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def mailbox(erring: Instance) -> Iterator[Mailbox]:
    """Return a mail server that the instance sends its mail to."""
    mailbox = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    conf = erring.path / "jobcron.conf"
    lines = [
        f"mail: smtp://127.0.0.1:{port}\nmail_from: jobs@example.com" if line.startswith("mail:") else line
        for line in conf.read_text().splitlines()
    ]
    conf.write_text("\n".join(lines) + "\n")
    yield mailbox
    controller.stop()


def test_a_job_s_mail_reaches_the_server_after_the_commit_and_only_then(
    erring: Instance, mailbox: Mailbox
) -> None:
    job, failing = make(erring, "mail", "a@example.com"), make(erring, "mail and fail", "")
    mailbox.look = lambda: erring.query("SELECT status FROM jobcron_job WHERE id = :job", job=job)
    erring.run("erring")
    assert erring.row(failing).status is JobStatus.FAILED
    ((sender, recipients, content),) = mailbox.got
    assert (sender, recipients) == ("jobs@example.com", ["a@example.com"])
    assert b"Subject: Done" in content
    assert mailbox.in_database == [[(int(JobStatus.COMPLETED),)]]  # committed when the mail came


@pytest.mark.feature("LP-19")
def test_the_mail_about_a_failure_reaches_the_server(erring: Instance, mailbox: Mailbox) -> None:
    job = make(erring, "memory", "boss@example.com")
    erring.run("erring")
    ((_, recipients, content),) = mailbox.got
    assert recipients == ["boss@example.com"]
    assert str(erring.row(job).oops_id).encode() in content


@pytest.mark.parametrize("runner_class", ["JobRunner", "ProcessJobRunner"])
def test_a_failure_of_which_the_job_tells_nobody_reaches_those_whom_the_configuration_names(
    erring: Instance, mailbox: Mailbox, runner_class: str
) -> None:
    path = erring.path / "jobcron.conf"
    names = "failure_recipients: ops@example.com root@x.example"
    text = path.read_text().replace("[jobcron]\n", f"[jobcron]\n{names}\n")
    path.write_text(text.replace("[erring]\n", f"[erring]\nrunner_class: {runner_class}\n"))
    told, job = make(erring, "memory", "boss@example.com"), make(erring, "memory")
    user_error, done = make(erring, "users"), make(erring, "none")
    erring.command("run", "erring")
    statuses = [erring.row(number).status.name for number in (told, job, user_error, done)]
    assert statuses == ["FAILED", "FAILED", "FAILED", "COMPLETED"]
    got = sorted((recipients, content) for _, recipients, content in mailbox.got)
    assert [recipients for recipients, _ in got] == [["boss@example.com"], ["ops@example.com", "root@x.example"]]
    for part in (f"jobcron oops {erring.row(job).oops_id}", f"jobcron job {job}", "MemoryError"):
        assert part.encode() in got[1][1]


def test_a_section_has_recipients_of_its_own(erring: Instance, mailbox: Mailbox) -> None:
    path = erring.path / "jobcron.conf"
    text = path.read_text().replace("[jobcron]\n", "[jobcron]\nfailure_recipients: ops@example.com\n")
    path.write_text(text.replace("[erring]\n", "[erring]\nfailure_recipients: shop@example.com\n"))
    make(erring, "memory")
    erring.run("erring")
    assert [recipients for _, recipients, _ in mailbox.got] == [["shop@example.com"]]


@pytest.mark.feature("LP-19")
def test_a_mail_server_that_refuses_changes_nothing_about_the_job_and_is_logged(
    erring: Instance, mailbox: Mailbox
) -> None:
    mailbox.refusals = 1
    job, after = make(erring, "memory", "boss@example.com"), make(erring, "none")
    log = erring.run("erring")
    assert mailbox.got == []
    assert "Nobody could be told that ErringJob" in log
    assert "come back later" in log
    assert erring.row(job).status is JobStatus.FAILED
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == 1


def run(instance: Instance, job_class: type[QuietJob], kind: str) -> Job:
    """Run a job, and return its row."""
    name = f"{job_class.__module__}.{job_class.__name__}"
    instance.configure(sections=f"[runnable]\nsource_interface: {name}\n")
    with instance.session() as session:
        number = job_class.create(session=session, metadata={"raise": kind}).id
    instance.run("runnable")
    return instance.row(number)


def mails(instance: Instance) -> list[str]:
    """Return all mail."""
    return [path.read_text() for path in (instance.path / "mail").glob("*.eml")]


@pytest.mark.feature("LP-04", "LP-20")
def test_a_kind_of_user_error_is_one_and_its_message_goes_to_the_user_alone(instance: Instance) -> None:
    row = run(instance, LoudJob, "refused")
    assert (row.status, row.oops_id, instance.oopses()) == (JobStatus.FAILED, None, [])
    assert "this is refused" in str(row.log)
    (mail,) = mails(instance)
    assert "To: user@example.com\n" in mail
    assert "Subject: Error while shouting\n" in mail
    assert "this is refused" in mail


@pytest.mark.feature("LP-04", "LP-19")
def test_a_report_goes_to_its_own_recipients_with_its_id_and_without_the_error(instance: Instance) -> None:
    row = run(instance, LoudJob, "broken")
    (report,) = instance.oopses()
    assert (row.status, row.oops_id) == (JobStatus.FAILED, report.name)
    (mail,) = mails(instance)
    assert "To: user@example.com, operator@example.com\n" in mail
    assert "shouting" in mail
    assert report.name in mail
    assert "this is broken" not in mail


@pytest.mark.feature("LP-04", "LP-20")
@pytest.mark.parametrize("kind", ["refused", "broken"])
def test_a_job_that_names_nobody_tells_nobody(instance: Instance, kind: str) -> None:
    row = run(instance, QuietJob, kind)
    assert row.status is JobStatus.FAILED
    assert mails(instance) == []
