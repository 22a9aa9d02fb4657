"""Every order in which the statements of two actors can reach the database."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text

import checker
from actors import Actor, Step, interleavings, play
from jobcron import Database
from jobcron.database.statements import execute
from jobcron.queue.claim import Claimant, claim, reclaim
from proving import IS_CHAOS, Proof

ENDLESS, OVER = 300.0, 0.0
"""Lease seconds: of one that lasts, and of one that is past at once, as that of somebody very slow."""


def take(lease_seconds: float) -> Step:
    """Take a job: one whose lease is past, else one that is ready."""

    def step(actor: Actor) -> None:
        claimant = Claimant("actor", lease_seconds)
        type_id = actor.connection.execute(text("SELECT id FROM jobcron_type")).scalar_one()
        found = reclaim(actor.connection, type_id, claimant) or claim(actor.connection, type_id, 1, claimant)
        actor.known["claim"] = found[0] if found else None

    return step


def commit(actor: Actor) -> None:
    """Commit."""
    actor.connection.commit()


def if_taken(work: Callable[[Actor], None]) -> Step:
    """Do something only with a job, and as long as it is one's own."""

    def step(actor: Actor) -> None:
        if actor.known.get("claim"):
            work(actor)

    return step


@if_taken
def write(actor: Actor) -> None:
    """Have an effect."""
    number, token, *_ = actor.known["claim"]
    actor.connection.execute(
        text("INSERT INTO ledger (job, token, note) VALUES (:job, :token, 'done')"),
        {"job": number, "token": token},
    )


def _parameters(actor: Actor) -> dict[str, object]:
    number, token, *_ = actor.known["claim"]
    return {"id": number, "token": token, "progress": None, "steps": None, "next": None, "next_token": None}


@if_taken
def read(actor: Actor) -> None:
    """Read, which holds nothing: the end of a job is protected by its own last statement alone."""
    actor.connection.execute(text("SELECT count(*) FROM ledger"))


@if_taken
def complete(actor: Actor) -> None:
    """Finish the job, as the last statement of its transaction."""
    if execute(actor.connection, "complete", _parameters(actor)).first() is None:
        give_up(actor)


def give_up(actor: Actor) -> None:
    """Roll back: the lease is lost."""
    actor.connection.rollback()
    actor.known["claim"] = None


RUNNER: list[Step] = [take(OVER), commit, write, read, complete, commit]
"""A runner whose lease is always past when somebody looks: the worst that can be."""


@if_taken
def write_and_complete(actor: Actor) -> None:
    """Have an effect, and finish."""
    write(actor)
    complete(actor)


SHORT_RUNNER: list[Step] = [take(OVER), commit, write_and_complete, commit]

COMMITS_ALL: list[Step] = [take(OVER), commit, write, complete, commit]


class Stage:
    """Where actors play: their connections, and a look at who waits for whom."""

    def __init__(self, proof: Proof) -> None:
        self.database = Database(proof.url, busy_seconds=0)
        self.watcher = self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def play(
        self, order: list[int], scripts: list[list[Step]], known: Sequence[dict[str, Any]] | None = None
    ) -> None:
        """Let actors with these scripts take turns in this order; they begin with what they know."""
        actors = [Actor(self.database, steps) for steps in scripts]
        for actor, facts in zip(actors, known or (), strict=False):
            actor.known = facts
        try:
            play(actors, order, self.is_blocked)
        finally:
            for actor in actors:
                actor.close()

    def is_blocked(self, actor: Actor) -> bool:
        """Tell whether an actor waits for a lock."""
        if self.database.dialect == "sqlite":
            return False
        waits = text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")
        return bool(self.watcher.execute(waits, {"pid": actor.pid}).scalar())

    def close(self) -> None:
        """Let go of every connection."""
        self.watcher.close()
        self.database.close()


@pytest.fixture
def stage(proof: Proof) -> Iterator[Stage]:
    """Return a stage in the proof's database."""
    stage = Stage(proof)
    yield stage
    stage.close()


@pytest.mark.feature("LP-23")
@pytest.mark.timeout(20_000 if IS_CHAOS else 400)
def test_in_no_order_of_two_runners_statements_a_job_is_done_twice(proof: Proof, stage: Stage) -> None:
    orders = list(interleavings([len(RUNNER)] * 2))
    assert len(orders) == 924
    if not IS_CHAOS:
        orders = [order for order in orders if order[0] == 0]  # both are alike: who begins makes no difference
    if proof.database.dialect == "sqlite" and not IS_CHAOS:
        orders = random.Random(0).sample(orders, 100)  # its transactions do not overlap: few of them differ
    play_all(proof, stage, orders, [RUNNER, RUNNER])


@if_taken
def renew(actor: Actor) -> None:
    """Renew the lease, as a keeper does, and remember whether it could be."""
    parameters = {**_parameters(actor), "lease_seconds": ENDLESS}
    actor.known.setdefault("renewed", []).append(execute(actor.connection, "renew", parameters).rowcount == 1)


def take_over(actor: Actor) -> None:
    """Take over a job whose lease is past."""
    type_id = actor.connection.execute(text("SELECT id FROM jobcron_type")).scalar_one()
    actor.known["claim"] = reclaim(actor.connection, type_id, Claimant("actor", ENDLESS))


KEEPER: list[Step] = [renew, commit, renew, commit]

TAKER: list[Step] = [take_over, commit]


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("is_first", [True, False], ids=["first renewal", "later renewal"])
def test_in_no_order_of_a_renewal_and_a_takeover_both_succeed_or_neither(
    proof: Proof, stage: Stage, is_first: bool
) -> None:
    for order in interleavings([len(KEEPER), len(TAKER)]):
        (job,) = proof.make(["ledger"])
        known: dict[str, Any] = {}
        stage.play([0, 0], [[take(ENDLESS), commit]], [known])
        if not is_first:
            stage.play([0, 0], [[renew, commit]], [known])
        known.pop("renewed", None)
        proof.end_leases()
        taken: dict[str, Any] = {}
        stage.play(order, [KEEPER, TAKER], [known, taken])
        proof.query(f"UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = {job}")
        assert known["renewed"] == ([False] * 2 if taken["claim"] else [True] * 2), f"order {order}"


if IS_CHAOS:

    @pytest.mark.timeout(20_000)
    def test_in_no_order_of_three_runners_statements_a_job_is_done_twice(proof: Proof, stage: Stage) -> None:
        orders = list(interleavings([len(SHORT_RUNNER)] * 3))
        assert len(orders) == 34_650
        play_all(proof, stage, orders, [SHORT_RUNNER] * 3)


def play_all(proof: Proof, stage: Stage, orders: list[list[int]], scripts: list[list[Step]]) -> None:
    """Play every order with a new job, and look at what is left; then finish what nobody could."""
    for order in orders:
        (job,) = proof.make(["ledger"])
        stage.play(order, scripts)
        stage.play([0] * len(COMMITS_ALL), [COMMITS_ALL])
        evidence = checker.gather(proof.database.engine, proof.state, since=job, crash_limit=100)
        found = [
            violation
            for rule in (checker.i1_none_lost, checker.i2_no_effect_twice, checker.i8_legal_moves)
            for violation in rule(evidence)
        ]
        assert found == [], f"order {order}: {found}; moves {evidence.moves}; effects {evidence.ledger}"
