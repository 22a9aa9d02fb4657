"""Errors of all kinds: how long a retry waits, groups and chains, what Python itself raises, what mail meets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from erringapp import ErringJob, LeavingJob, PatientJob
from instances import Instance
from jobcron import JobStatus

SECTIONS = """
[erring]
source_interface: erringapp.ErringJob

[leaving]
source_interface: erringapp.LeavingJob

[patient]
source_interface: erringapp.PatientJob
"""


@pytest.fixture
def erring(instance: Instance) -> Instance:
    """Return an instance with these jobs."""
    instance.configure(sections=SECTIONS)
    return instance


def make(instance: Instance, kind: str, tell: str = "") -> int:
    """Commit a job."""
    with instance.session() as session:
        return ErringJob.create(kind=kind, tell=tell, session=session).id


@pytest.mark.feature("LP-19", "LP-20", "LP-21", "LP-22")
@pytest.mark.parametrize(
    ("kind", "status", "reports"),
    [
        ("retries", JobStatus.WAITING, 0),
        ("users", JobStatus.FAILED, 0),
        ("suspensions", JobStatus.SUSPENDED, 0),
        ("a retry and a failure", JobStatus.FAILED, 1),
        ("a user error and a retry", JobStatus.FAILED, 1),
        ("a deadlock among others", JobStatus.WAITING, 0),
        ("recursion", JobStatus.FAILED, 1),
        ("memory", JobStatus.FAILED, 1),
        ("a key that nobody pressed", JobStatus.FAILED, 1),
        ("deep", JobStatus.FAILED, 1),
    ],
)
def test_a_group_of_errors_is_what_all_of_its_members_are(
    erring: Instance, kind: str, status: JobStatus, reports: int
) -> None:
    job, after = make(erring, kind), make(erring, "none")
    erring.run("erring")
    assert erring.row(job).status is status
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == reports


@pytest.mark.feature("LP-19", "LP-25")
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        "__str__",
        "a variable",
        "getOopsVars",
        "notifyOops",
        "notifyUserError",
        "getErrorRecipients",
        "afterFailure",
        "retry_error_types",
        "time_limit",
    ],
)
def test_what_a_job_says_of_itself_ends_neither_its_failure_nor_the_run(
    erring: Instance, where: str, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=place, key=key, session=session).id for place in (where, "nowhere")]
    erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert len(erring.oopses()) == (0 if where == "notifyUserError" else 1)


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize("key", [False, True])
def test_an_action_after_the_commit_that_wants_to_end_the_process_is_logged_and_the_job_is_completed(
    erring: Instance, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=w, key=key, session=session).id for w in ("after_commit", "nowhere")]
    log = erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.COMPLETED]
    assert "An action after the commit failed; the commit stands" in log
    assert "Ran 2 LeavingJob jobs." in log
    assert "lost its lease" not in log


@pytest.mark.feature("LP-21")
def test_a_group_of_retries_waits_for_the_longest(erring: Instance) -> None:
    job = make(erring, "retries")
    erring.run("erring")
    row = erring.row(job)
    assert row.date_started is not None
    assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(3600, abs=60)


def test_a_pressed_key_in_a_group_ends_the_run_and_puts_the_job_back(erring: Instance) -> None:
    job = make(erring, "a key pressed")
    with pytest.raises(KeyboardInterrupt):
        erring.run("erring")
    assert (erring.row(job).status, erring.row(job).attempt_count) == (JobStatus.WAITING, 0)


@pytest.mark.feature("LP-19")
def test_a_key_pressed_while_a_job_cleans_up_ends_the_run_and_the_job_has_failed(erring: Instance) -> None:
    with erring.session() as session:
        jobs = [
            LeavingJob.create(where=place, pressed=True, session=session).id
            for place in ("afterFailure", "nowhere")
        ]
    _, err = erring.command("run", "leaving", expect=1)
    assert err.endswith("ERROR   Stopped from the keyboard\n")
    assert "INFO    1 LeavingJob jobs did not complete.\n" in err
    assert [erring.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.WAITING]
    assert erring.row(jobs[0]).oops_id


@pytest.mark.feature("LP-21")
def test_a_retry_waits_longer_each_time_up_to_a_limit_and_a_random_part_more(erring: Instance) -> None:
    with erring.session() as session:
        jobs = [PatientJob.create(session=session).id for _ in range(8)]
    for least, most in ((100, 150), (300, 450), (900, 1350), (1000, 1500), (1000, 1500)):
        erring.run("patient")
        rows = [erring.row(job) for job in jobs]
        waits = [(r.scheduled_start - r.date_started).total_seconds() for r in rows if r.date_started]
        assert len(waits) == len(jobs)
        assert all(least <= wait < most + 20 for wait in waits), waits
        assert len({round(wait) for wait in waits}) > 1, "no jitter"
        erring.query("UPDATE jobcron_job SET scheduled_start = date_created")
    assert {erring.row(job).attempt_count for job in jobs} == {5}


@pytest.mark.feature("LP-21")
def test_what_the_error_says_of_its_delay_is_neither_grown_nor_spread(erring: Instance) -> None:
    with erring.session() as session:
        job = PatientJob.create(fixed=70.0, session=session).id
    for _ in range(3):
        erring.run("patient")
        row = erring.row(job)
        assert row.date_started is not None
        assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(70, abs=5)
        erring.query("UPDATE jobcron_job SET scheduled_start = date_created")


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


def test_an_error_of_the_commit_itself_fails_the_job_and_harms_nobody(erring: Instance) -> None:
    """A constraint that is only checked by COMMIT."""
    erring.configure()
    erring.query("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    erring.query(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, "
        "parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    if erring.database.dialect == "postgresql":
        erring.query("GRANT SELECT ON parent TO foo_runner; GRANT INSERT ON child TO foo_runner")
    job = erring.act(("write", "never"), ("sql", "INSERT INTO child (id, parent) VALUES (1, 99)"))
    after = erring.act(("write", "done"))
    erring.run("act")
    assert erring.row(job).status is JobStatus.FAILED
    assert [note for *_, note in erring.ledger()] == ["done"]
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == 1
    assert "IntegrityError" in str(erring.row(job).log)
