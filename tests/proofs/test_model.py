"""A state machine of what can happen to a few jobs, beside a small oracle; the same rules on both databases."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from jobcron import DuplicateJob, InvalidTransition, Job, JobStatus, RetryableJobError
from jobcron.errors import LeaseLost
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant, claim, reclaim
from jobcron.queue.finish import expire, set_aside
from jobcron.queue.loading import Claimed
from jobcron.queue.outcome import Failed, NotStarted, Outcome, Retry, Stopped, Suspended, WaitsForCode
from jobcron.queue.views import RunnableView
from jobcron.runner._completion import complete
from jobcron.runner.attempt import Attempt, renew
from proofapp import ProofJob
from proving import IS_CHAOS, Proof

W, R, C, F, S, X, E = (
    JobStatus.WAITING,
    JobStatus.RUNNING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.SUSPENDED,
    JobStatus.CANCELLED,
    JobStatus.EXPIRED,
)

ERROR = RetryableJobError("for the model")

OUTCOMES: dict[str, Outcome] = {
    "failed": Failed(ERROR),
    "retry": Retry(ERROR, delay=0.0),
    "retry later": Retry(ERROR, delay=3600.0),
    "suspended": Suspended(ERROR),
    "interrupted": Stopped(ERROR),
    "given back": NotStarted(),
    "waits for code": WaitsForCode(ERROR, delay=3600.0),
}

NOT_BEGUN = ("given back", "waits for code")
"""The ends of attempts that did not begin."""

CRASH_LIMIT = 3

STALE = st.sampled_from([False, False, False, True])
"""Whether somebody acts under a token that is no longer the job's."""

BY_HAND = {
    "suspend": (S, {W, R}),
    "cancel": (X, {W, R, S}),
    "complete": (C, {W, R, S, F, X, E}),
    "fail": (F, {R}),
    "queue": (W, {R, C, F, S, X, E}),
    "resume": (W, {S}),
}
"""What people do: the status that it leads to, and those in which it is allowed."""


@dataclass(frozen=True)
class Model:
    """What the oracle knows of a job."""

    number: int
    status: JobStatus = W
    token: int = 0
    attempts: int = 0
    crashes: int = 0
    priority: int = 10
    is_due: bool = True
    is_expired: bool = False
    expires: bool = False
    lease_over: bool = False
    batch: int = 0
    begun: int = 0
    has_committed: bool = False
    progress: int | None = None
    key: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a claim may take it."""
        return self.status is W and self.is_due and (self.begun > 0 or not self.is_expired)

    @property
    def holds_key(self) -> bool:
        """Whether no other job may have its key."""
        return self.status in (W, S) and not self.begun


def moment(value: Any) -> datetime:
    """Return a time as a database returns it."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


class Machine(RuleBasedStateMachine):
    """Jobs of one type, moved by every way there is; each step is compared with the oracle."""

    proof: Proof

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, Model] = {}
        self.batches = 0
        self.tables = ("jobcron_event", "made", "ledger", "audit", "jobcron_renewal", "jobcron_job")
        for table in self.tables:
            self.proof.query(f"DELETE FROM {table}")
        self.session = self.proof.database.session()
        self.type_id = self.proof.query("SELECT id FROM jobcron_type")[0][0] if self._types() else 0

    def _types(self) -> list[Any]:
        return self.proof.query("SELECT id FROM jobcron_type")

    def teardown(self) -> None:
        """Let the session go."""
        self.session.close()

    # What the application does.

    @rule(
        priority=st.sampled_from([-5, 10, 20]),
        is_due=st.sampled_from([True, True, False]),
        expiry=st.sampled_from(["none", "past", "later"]),
        keep=st.sampled_from([True] * 9 + [False]),
    )
    def create(self, priority: int, is_due: bool, expiry: str, keep: bool) -> None:
        """Make a job, perhaps for later, perhaps with an expiry; or roll it back."""
        job = ProofJob.create(kind="ledger", priority=priority, session=self.session)
        number = job.id
        if not keep:
            self.session.rollback()
            return
        self.session.commit()
        self.type_id = self._types()[0][0]
        self._shift(number, "scheduled_start", "-1 hour" if is_due else "+1 hour")
        if expiry != "none":
            self._shift(number, "expires_at", "-1 hour" if expiry == "past" else "+1 hour")
        self.model[number] = Model(
            number, priority=priority, is_due=is_due, is_expired=expiry == "past", expires=expiry != "none"
        )

    @rule(key=st.sampled_from(["a", "b"]), expires=st.booleans())
    def acquire(self, key: str, expires: bool) -> None:
        """Get the one job with a key that has not begun and can start, or a new one."""
        number = ProofJob.acquire(kind="ledger", unique_key=key, session=self.session).id
        self.session.commit()
        known = [m for m in self.model.values() if m.key == key and m.holds_key]
        for model in known:
            if model.status is W and model.is_expired:
                known = []
                self._change(model, status=E)
        if known:
            assert number == known[0].number, f"{known[0].number} has not started, got {number}"
        else:
            assert number not in self.model
            self.type_id = self._types()[0][0]
            self._shift(number, "scheduled_start", "-1 hour")
            if expires:
                self._shift(number, "expires_at", "+1 hour")
            self.model[number] = Model(number, key=key, expires=expires)

    # What runners do.

    @precondition(lambda self: self.model)
    @rule(batch=st.integers(1, 3))
    def claim(self, batch: int) -> None:
        """Take ready jobs: the most urgent first, and none that died before together with others."""
        with self.proof.database.begin() as connection:
            taken = claim(connection, self.type_id, batch, self._claimant())
        ready = self._in_order()[:batch]
        if ready and not ready[0].crashes:
            deadly = next((place for place, m in enumerate(ready) if m.crashes), len(ready))
            ready = ready[:deadly]
        else:
            ready = ready[:1]
        assert [c.id for c in taken] == [m.number for m in ready]
        self.batches += 1
        for one in taken:
            model = self.model[one.id]
            begun = model.token + 1 if 0 < model.crashes < CRASH_LIMIT else model.begun
            self._change(model, batch=self.batches, begun=begun)
            self._change(model, status=R, token=model.token + 1, attempts=model.attempts + 1)
            self._change(model, lease_over=False, progress=None)
            assert one.token == self.model[one.id].token

    @precondition(lambda self: self.model)
    @rule()
    def take_over(self) -> None:
        """Take over a job whose lease is past, the most urgent first."""
        with self.proof.database.begin() as connection:
            taken = reclaim(connection, self.type_id, self._claimant())
        model = self._first_dead()
        assert [c.id for c in taken] == ([model.number] if model else [])
        if model:
            has_begun = not model.crashes or model.begun == model.token
            crashes, begun = model.crashes + has_begun, model.begun
            if crashes < CRASH_LIMIT:
                begun = model.token + 1
            elif has_begun:
                begun = model.token
            self.batches += 1
            self._change(model, token=model.token + 1, attempts=model.attempts + has_begun, crashes=crashes)
            self._change(model, begun=begun, batch=self.batches, lease_over=False, progress=None)

    def _claimant(self) -> Claimant:
        # Two claims of one process in one millisecond of SQLite's clock would be one batch; a run ends one before.
        return Claimant(f"model {self.batches}", 300.0)

    def _first_dead(self) -> Model | None:
        """Return the job that is taken over; those that were claimed with it, and had not begun, wait again."""
        while True:
            running = [m for m in self._sorted(self.model.values()) if m.status is R]
            dead = [m for m in running if m.lease_over]
            if not dead:
                return None
            head, *others = [m for m in running if m.batch == dead[0].batch]
            for model in others:
                if model.lease_over:
                    status = X if self._superseding(model, None) else W
                    begun = model.token if self._twin(model) else model.begun
                    self._change(model, status=status, begun=begun, attempts=model.attempts - 1)
                    self._change(model, lease_over=False, batch=0)
            if head.lease_over:
                return head

    @precondition(lambda self: self.model)
    @rule(data=st.data(), is_stale=STALE, progress=st.sampled_from([None, 10, 60]))
    def renew(self, data: st.DataObject, is_stale: bool, progress: int | None) -> None:
        """Renew a lease and report progress, in time or late; whoever lost the job learns it."""
        model = self._drawn(data)
        attempt = self._attempt(model, model.token - is_stale)
        attempt.note_progress(progress)
        is_ours = model.status is R and not is_stale
        assert renew(self.proof.database, attempt) == is_ours
        attempt.session.close()
        if is_ours:
            self._change(model, lease_over=False, progress=model.progress if progress is None else progress)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), is_stale=STALE, is_task=st.booleans())
    def commit_on_the_way(self, data: st.DataObject, is_stale: bool, is_task: bool) -> None:
        """Commit at a checkpoint or at the end of a task, under a token or one that is not the job's any more."""
        # Of a batch only the first job that runs still can have begun.
        running = [m for m in self._sorted(self.model.values()) if m.status is R]
        heads = {m.batch: m.number for m in reversed(running)}
        known = sorted(self.model.values(), key=lambda m: m.number)
        able = [m for m in known if m.status is not R or heads[m.batch] == m.number]
        model = data.draw(st.sampled_from([m for m in able if m.status is R] * 3 + able))
        attempt = self._attempt(model, model.token - is_stale)
        attempt.note_progress(model.progress)
        is_ours = model.status is R and not is_stale
        try:
            (attempt.end_task if is_task else attempt.checkpoint)()
            assert is_ours, "committed without a lease"
            counts = {"attempts": 1, "crashes": 0} if is_task else {}
            self._change(model, begun=model.token, has_committed=True, lease_over=False, **counts)
        except LeaseLost:
            assert not is_ours, "refused, with a lease"
            attempt.session.rollback()
        finally:
            attempt.session.close()

    @precondition(lambda self: self.model)
    @rule()
    def expire(self) -> None:
        """End the jobs that nobody started in time."""
        with self.proof.database.begin() as connection:
            ended = {c.id for c in expire(connection, self.type_id, 100)}
        late = [m for m in self.model.values() if m.status is W and m.is_expired and not m.begun]
        assert ended == {m.number for m in late}
        for model in late:
            self._change(model, status=E)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), is_stale=STALE)
    def finish(self, data: st.DataObject, is_stale: bool) -> None:
        """Complete a job under its token, or one that is not its token any more."""
        model = self._drawn(data)
        token = model.token - is_stale
        attempt = self._attempt(model, token)
        attempt.note_progress(model.progress)
        session = attempt.session
        is_ours = model.status is R and not is_stale
        try:
            complete(self.proof.database, attempt)
            assert is_ours, "completed without a lease"
            self._change(model, status=C)
        except LeaseLost:
            assert not is_ours, "refused, with a lease"
            session.rollback()
        finally:
            session.close()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), is_stale=STALE, kind=st.sampled_from(sorted(OUTCOMES)))
    def end(self, data: st.DataObject, is_stale: bool, kind: str) -> None:
        """End an attempt in any other way."""
        model = self._drawn(data)
        outcome = OUTCOMES[kind]
        twin = self._superseding(model, outcome.delay)
        written = set_aside(self.proof.database, Claim(model.number, model.token - is_stale, 0.0), outcome)
        if model.status is not R or is_stale:
            # A write that arrived before is found to have arrived.
            assert written is None or (not is_stale and written.status is model.status)
            return
        attempts = model.attempts - (not outcome.counted)
        if kind not in NOT_BEGUN or (outcome.status in (W, S) and self._twin(model)):
            self._change(model, begun=model.token)
        if twin and outcome.status in (W, S):
            assert written is not None
            assert written.status is X
            self._change(model, status=X, attempts=attempts)
            return
        assert written is outcome
        is_due = model.is_due if outcome.delay is None else not outcome.delay
        self._change(model, status=outcome.status, attempts=attempts, is_due=is_due, lease_over=False)
        if outcome.status is F:  # the failure hook has dealt with it
            self._change(model, has_committed=False)

    # What people do.

    @precondition(lambda self: self.model)
    @rule(data=st.data(), move=st.sampled_from(sorted(BY_HAND)))
    def by_hand(self, data: st.DataObject, move: str) -> None:
        """Move a job by hand; what is illegal, or meets a twin, is refused and changes nothing."""
        model = data.draw(st.sampled_from(sorted(self.model.values(), key=lambda m: m.number)))
        target, allowed = BY_HAND[move]
        job = self.session.get_one(Job, model.number, populate_existing=True)
        try:
            getattr(job, move)()
            self.session.commit()
        except DuplicateJob:
            self.session.rollback()
            assert target is W or (target is S and model.status is R)
            assert self._twin(model)
            return
        except InvalidTransition:
            self.session.rollback()
            assert model.status not in allowed, f"{move} was refused from {model.status.name}"
            return
        if move == "queue" and model.status is W:
            return
        assert model.status in allowed, f"{move} was allowed from {model.status.name}"
        afresh: dict[str, Any] = {}
        if target is W:
            afresh = {"attempts": 0, "crashes": 0, "is_expired": False, "expires": False}
        if target is W:
            afresh["progress"] = None
        if move == "cancel" and model.status is R:
            afresh = {"attempts": model.attempts - 1}
        if model.status is R:
            afresh["begun"] = model.token
        if target is W and model.status is C:
            afresh["has_committed"] = False
        self._change(model, status=target, lease_over=False, **afresh)

    # What time does.

    @precondition(lambda self: any(m.status is R for m in self.model.values()))
    @rule(data=st.data())
    def lease_ends(self, data: st.DataObject) -> None:
        """A runner dies, or sleeps."""
        running = sorted((m for m in self.model.values() if m.status is R), key=lambda m: m.number)
        model = data.draw(st.sampled_from(running))
        self._shift(model.number, "lease_expires", "-1 hour")
        self._shift(model.number, "lease_expires", "-1 hour", "jobcron_renewal", "job")
        self._change(model, lease_over=True)

    @precondition(lambda self: any(m.status is W for m in self.model.values()))
    @rule(data=st.data(), what=st.sampled_from(["due", "expiry"]))
    def time_comes(self, data: st.DataObject, what: str) -> None:
        """A job becomes due, or expires."""
        waiting = sorted((m for m in self.model.values() if m.status is W), key=lambda m: m.number)
        model = data.draw(st.sampled_from(waiting))
        if what == "due":
            self._shift(model.number, "scheduled_start", "-1 hour")
            self._change(model, is_due=True)
        elif model.expires:
            self._shift(model.number, "expires_at", "-1 hour")
            self._change(model, is_expired=True)

    # What has to be so at any time.

    @invariant()
    def rows_are_as_the_oracle_says(self) -> None:
        """Compare every row."""
        rows = self.proof.query(
            "SELECT id, status, lease_token, attempt_count, crash_count, begun_token, has_committed, unique_key "
            "FROM jobcron_job ORDER BY id"
        )
        known = [
            (m.number, int(m.status), m.token, m.attempts, m.crashes, m.begun, m.has_committed, m.key)
            for m in sorted(self.model.values(), key=lambda m: m.number)
        ]
        assert rows == known
        shown = self.session.execute(select(Job.id, Job.progress)).all()
        self.session.rollback()
        assert {tuple(row) for row in shown} == {(m.number, m.progress) for m in self.model.values()}

    @invariant()
    def ready_jobs_are_in_order(self) -> None:
        """Compare what a source finds."""
        found = [job.id for job in ProofJob.iterReady(session=self.session)]
        self.session.rollback()
        assert found == [m.number for m in self._in_order()]

    @invariant()
    def the_database_refuses_illegal_moves(self) -> None:
        """Try one by raw SQL: from an end back to RUNNING, which no job's life has."""
        ended = [m for m in self.model.values() if m.status in (C, F, X, E)]
        if not ended:
            return
        with pytest.raises(DBAPIError), self.proof.database.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE jobcron_job SET status = 1, date_finished = NULL, lease_expires = date_created, "
                f"lease_token = lease_token + 1 WHERE id = {ended[0].number}"
            )

    def _drawn(self, data: st.DataObject) -> Model:
        """Draw a job, most often one that runs: of the others little is to be learned."""
        known = sorted(self.model.values(), key=lambda m: m.number)
        running = [m for m in known if m.status is R]
        return data.draw(st.sampled_from(running * 3 + known))

    def _change(self, model: Model, **values: Any) -> None:
        self.model[model.number] = replace(self.model[model.number], **values)

    def _twin(self, model: Model) -> bool:
        if model.key is None:
            return False
        others = (m for m in self.model.values() if m.number != model.number)
        return any(m.key == model.key and m.holds_key for m in others)

    def _superseding(self, model: Model, delay: float | None) -> bool:
        """Whether a job with the same key will do the same work no later."""
        if model.key is None or model.begun == model.token or model.has_committed:
            return False
        starts = dict(self.proof.query("SELECT id, scheduled_start FROM jobcron_job"))
        late = self._now() + timedelta(seconds=delay or 0.0)
        return any(
            m.key == model.key and m.status is W and (m.begun or not m.expires) and not m.crashes
            for m in self.model.values()
            if m.number != model.number and moment(starts[m.number]) <= late
        )

    def _now(self) -> datetime:
        now = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "statement_timestamp()"}
        return moment(self.proof.query(f"SELECT {now[self.proof.database.dialect]}")[0][0])

    def _in_order(self) -> list[Model]:
        return self._sorted(m for m in self.model.values() if m.is_ready)

    def _sorted(self, models: Any) -> list[Model]:
        starts = dict(self.proof.query("SELECT id, scheduled_start FROM jobcron_job"))
        return sorted(models, key=lambda m: (m.priority, starts[m.number], m.number))

    def _attempt(self, model: Model, token: int) -> Attempt:
        claimed = Claimed(Claim(model.number, token, 0.0), RunnableView(object()))
        return Attempt(claimed, self.proof.database.session(), 300.0)

    def _shift(self, number: int, column: str, by: str, table: str = "jobcron_job", key: str = "id") -> None:
        moment = {
            "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{by}')",
            "postgresql": f"now() + interval '{by}'",
        }[self.proof.database.dialect]
        self.proof.query(f"UPDATE {table} SET {column} = {moment} WHERE {key} = {number}")


RUNS = int(os.environ.get("MODEL_RUNS", 10_000 if IS_CHAOS else 50))


@pytest.mark.feature("LP-02", "LP-03", "LP-09", "LP-10", "LP-21", "LP-23")
@pytest.mark.timeout(20_000 if IS_CHAOS else 900)
def test_whatever_happens_to_jobs_the_oracle_foresaw(proof: Proof) -> None:
    class InThisDatabase(Machine):
        """The machine, with its database."""

    InThisDatabase.proof = proof
    run_state_machine_as_test(
        InThisDatabase,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=40,
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),  # each step is several transactions
        ),
    )
