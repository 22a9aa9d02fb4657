"""Jobs inside the transactions of the package ``transaction``: all in them is committed together, or nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import transaction
from sqlalchemy import text

from fooapp import ActJob, Ledger
from instances import Instance
from jobcron import BaseRunnableJob, ConfigurationError, Database, JobStatus, JobType, load_settings
from jobcron.database.sessions import current_session

C, F, W, X = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.WAITING, JobStatus.CANCELLED

VOTES: list[str] = []
"""What a `Voter` was asked for in this process."""


class Voter:
    """A data manager that writes down what it is asked for, as a mail queue would be."""

    transaction_manager = transaction.manager

    def __init__(self, fails: bool = False, cannot_undo: bool = False) -> None:
        self.fails = fails
        self.cannot_undo = cannot_undo

    def sortKey(self) -> str:
        """Sort anywhere."""
        return "voter"

    def tpc_begin(self, current: object) -> None:
        """Do nothing."""

    def commit(self, current: object) -> None:
        """Do nothing."""

    def tpc_vote(self, current: object) -> None:
        """Vote."""
        VOTES.append("vote")
        if self.fails:
            raise OSError("no mail queue")

    def tpc_finish(self, current: object) -> None:
        """Finish."""
        VOTES.append("finish")

    def tpc_abort(self, current: object) -> None:
        """Abort."""
        VOTES.append("abort")
        if self.cannot_undo:
            raise OSError("no way back")

    abort = tpc_abort


class ZopeJobType(JobType):
    """Types of jobs for these tests."""

    TRANSACT = 1


class TransactJob(BaseRunnableJob):
    """Does what its data says with the thread's transaction."""

    class_job_type = ZopeJobType.TRANSACT
    retry_error_types = (TimeoutError,)

    def run(self) -> None:
        """Act."""
        for verb in self.metadata["do"]:
            getattr(self, f"act_{verb}", lambda verb=verb: self.note(verb))()

    def note(self, text: str) -> None:
        """Write a row in raw SQL: nothing tells the session of it."""
        current_session().connection().execute(
            _insert, {"job": self.id, "attempt": self.attempt_count, "note": text}
        )

    def act_commit(self) -> None:
        """Commit all that has joined."""
        transaction.commit()

    def act_abort(self) -> None:
        """Undo all that has joined."""
        transaction.abort()

    def act_doom(self) -> None:
        """Let nothing of it be committed."""
        transaction.doom()

    def act_join(self) -> None:
        """Join something that votes."""
        transaction.get().join(Voter())

    def act_join_failing(self) -> None:
        """Join something that votes against it."""
        transaction.get().join(Voter(fails=True))

    def act_join_lasting(self) -> None:
        """Join something that cannot be undone."""
        transaction.get().join(Voter(cannot_undo=True))

    def act_hook(self) -> None:
        """Ask to be told how it ends."""
        transaction.get().addAfterCommitHook(lambda done: VOTES.append(f"hook {done}"))

    def act_leave_and_hook(self) -> None:
        """Set a search path, and ask to write while the work is being committed."""
        self.session.execute(text("SET search_path = tenant, public"))
        row = {"job": self.id, "attempt": self.attempt_count, "note": "by the hook"}
        session = self.session
        transaction.get().addBeforeCommitHook(lambda: session.execute(_insert, row))

    def act_object(self) -> None:
        """Write a row by an object."""
        self.session.add(Ledger(job=self.id, attempt=self.attempt_count, note="object"))

    def act_cancel(self) -> None:
        """Let somebody else cancel the job."""
        database = Database(load_settings().database_url)
        with database.session() as session:
            TransactJob.get(self.id, session=session).cancel(manage_transaction=True)
        database.close()

    def act_fail(self) -> None:
        """Fail."""
        raise ValueError("no")

    def act_retry(self) -> None:
        """Fail for now."""
        raise TimeoutError


_insert = text("INSERT INTO ledger (job, attempt, note) VALUES (:job, :attempt, :note)")


@pytest.fixture
def zope(instance: Instance) -> Instance:
    """Return an instance whose jobs run in the package's transactions."""
    VOTES.clear()
    instance.configure(
        "transactions: zope",
        f"[transact]\nsource_interface: {__name__}.TransactJob\n[act]\nsource_interface: fooapp.IActJobSource\n",
    )
    return instance


def make(instance: Instance, *verbs: str, **values: Any) -> int:
    """Commit a job that does these."""
    with instance.session() as session:
        return TransactJob.create(session=session, metadata={"do": verbs}, **values).id


def notes(instance: Instance) -> list[str]:
    """Return the committed notes."""
    return [note for _, _, note in instance.ledger()]


@pytest.mark.feature("LP-01", "LP-19")
@pytest.mark.parametrize(
    ("verbs", "status", "kept"),
    [
        (["raw"], C, ["raw"]),
        (["object"], C, ["object"]),
        (["raw", "fail"], F, []),
        (["raw", "commit", "more", "fail"], F, ["raw"]),
        (["raw", "commit", "more"], C, ["raw", "more"]),
        (["raw", "abort", "more"], C, ["more"]),
        (["raw", "doom"], F, []),
        (["raw", "retry"], W, []),
        (["cancel", "raw", "commit"], X, []),
        (["cancel", "raw"], X, []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_jobs_work_and_its_status_are_one_transaction_of_the_packages(
    zope: Instance, verbs: list[str], status: JobStatus, kept: list[str]
) -> None:
    jobs = [make(zope, "first"), make(zope, *verbs, max_retries=1), make(zope, "last")]
    zope.run("transact")
    assert [zope.row(job).status for job in jobs] == [C, status, C]
    assert notes(zope) == ["first", *kept, "last"]


@pytest.mark.feature("LP-01")
def test_what_else_has_joined_is_committed_with_the_job(zope: Instance) -> None:
    job = make(zope, "raw", "join", "hook")
    zope.run("transact")
    assert zope.row(job).status is C
    assert VOTES == ["vote", "finish", "hook True", "abort"]  # the hook's own work is undone


@pytest.mark.feature("LP-19")
def test_a_vote_against_it_fails_the_job_and_undoes_its_work(zope: Instance) -> None:
    job = make(zope, "raw", "join_failing")
    after = make(zope, "last")
    zope.run("transact")
    row = zope.row(job)
    assert (row.status, zope.row(after).status) == (F, C)
    assert "no mail queue" in str(row.log)
    assert notes(zope) == ["last"]


def test_what_has_joined_is_undone_with_a_job_that_fails(zope: Instance) -> None:
    make(zope, "join", "fail")
    make(zope, "cancel", "join", "raw")
    zope.run("transact")
    assert "finish" not in VOTES
    assert VOTES.count("abort") >= 2


def test_what_has_joined_before_a_job_touches_its_objects_is_undone_with_it(
    zope: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: TransactJob) -> None:
        job.act_join()
        raise ValueError(job.description)

    monkeypatch.setattr(TransactJob, "run", run)
    with zope.session() as session:
        job = TransactJob.create(session=session).id  # nothing in its row is looked at before it runs
    zope.run("transact")
    assert zope.row(job).status is F
    assert "finish" not in VOTES


@pytest.mark.feature("LP-19")
def test_who_cannot_undo_ends_no_run(zope: Instance) -> None:
    failed, neighbour = make(zope, "join_lasting", "raw", "fail"), make(zope, "raw")
    zope.run("transact")
    assert [zope.row(job).status for job in (failed, neighbour)] == [F, C]
    assert "ValueError: no" in str(zope.row(failed).log)
    assert zope.ledger() == [(neighbour, 1, "raw")]


@pytest.mark.feature("LP-23")
def test_checkpoints_and_commits_of_the_session_go_the_same_way(zope: Instance) -> None:
    jobs = [
        zope.act(("write", "a"), ("checkpoint", ""), ("write", "b"), ("raise", "value")),
        zope.act(("write", "c"), ("commit", ""), ("write", "d")),
        zope.act(("write", "e"), ("sql", "SELECT nonsense")),
    ]
    zope.run("act")
    assert [zope.row(job).status for job in jobs] == [F, C, F]
    assert notes(zope) == ["a", "c", "d"]


def test_a_run_of_a_process_of_its_own_stops_and_leaves_nothing_behind(zope: Instance) -> None:
    with zope.session() as session:
        ActJob.create(zope.foo(session), session=session, metadata={"do": [["write", "x"], ["press_a_key", ""]]})
    zope.command("run", "act", expect=1)
    ((status, attempts),) = zope.query("SELECT status, attempt_count FROM jobcron_job")
    assert (status, attempts, notes(zope)) == (0, 0, [])


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_the_package_the_configuration_says_what_is_missing(
    zope: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(zope, "raw")
    monkeypatch.setitem(sys.modules, "transaction", None)
    monkeypatch.delitem(sys.modules, "jobcron.database.zope", raising=False)
    with pytest.raises(ConfigurationError, match=r"key transactions: .* jobcron\[zope\]"):
        zope.run("transact")


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_the_two_kinds_of_transactions_are_known(instance: Instance) -> None:
    instance.configure("transactions: xa")
    _, err = instance.command("run", "do_foo", expect=2)
    assert "key transactions: expected sqlalchemy or zope, got: xa" in err


@pytest.mark.feature("LP-24")
def test_isolated_jobs_run_in_the_packages_transactions_too(zope: Instance) -> None:
    path = zope.path / "jobcron.conf"
    path.write_text(path.read_text().replace("[act]", "runner_class: ProcessJobRunner\n[act]"))
    jobs = [make(zope, "raw", "abort", "kept"), make(zope, "raw", "doom"), make(zope, "last")]
    zope.run("transact")
    assert [zope.row(job).status for job in jobs] == [C, F, C]
    assert notes(zope) == ["kept", "last"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_hook_before_the_commit_writes_under_the_settings_of_the_job(zope: Instance) -> None:
    zope.query("CREATE SCHEMA tenant; CREATE TABLE tenant.ledger (LIKE public.ledger INCLUDING ALL)")
    make(zope, "leave_and_hook")
    make(zope, "plain")
    zope.run("transact")
    assert zope.query("SELECT note FROM tenant.ledger") == [("by the hook",)]
    assert notes(zope) == ["plain"]
