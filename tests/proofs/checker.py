"""One judge for all proofs: the invariants I1 to I15, from what is left in tables, files and journals.

`judge` returns every violation, in words; an empty list is the verdict of a proof. What is judged was written by
`proofs.proofapp`'s jobs, by the audit triggers made here, and by jobcron itself. The rules are written down here a
second time on purpose: nothing is imported from the code that they judge.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text

WAITING, RUNNING, COMPLETED, FAILED, SUSPENDED, CANCELLED, EXPIRED, BLOCKED = range(8)
NOT_STARTED = (WAITING, SUSPENDED, BLOCKED)

LEGAL = {
    WAITING: {WAITING, RUNNING, SUSPENDED, CANCELLED, EXPIRED, COMPLETED, BLOCKED},
    RUNNING: {RUNNING, WAITING, COMPLETED, FAILED, SUSPENDED, CANCELLED},
    COMPLETED: {COMPLETED, WAITING, BLOCKED},
    FAILED: {FAILED, WAITING, COMPLETED, BLOCKED},
    SUSPENDED: {SUSPENDED, WAITING, CANCELLED, COMPLETED},
    CANCELLED: {CANCELLED, WAITING, COMPLETED, BLOCKED},
    EXPIRED: {EXPIRED, WAITING, COMPLETED, BLOCKED},
    BLOCKED: {BLOCKED, WAITING, COMPLETED, CANCELLED, EXPIRED},
}

FRESH = {"fresh", "function_fresh", "steps_fresh"}
"""The kinds of jobs for which the old release lacks an argument, a function or a task."""

STEPS = {"steps", "steps_fresh"}

SUCCEEDS = {"ledger", "idle", "bank", "transfer", "checkpoint", "retried", "slow", "unique"} | STEPS | FRESH
SUCCEEDS |= {"function", "function_retried", "function_unique"}
REPORTED = {"failing", "poison", "function_failing"}
UNIQUE = {"unique", "function_unique"}

TASKS = ["task 1", "task 2", "task 3"]
"""What each job of steps has in the ledger: the last of them is committed with its completion."""

AUDIT = {
    "sqlite": (
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, job INTEGER, old INTEGER, new INTEGER, old_token INTEGER, "
        "new_token INTEGER, at REAL DEFAULT ((julianday('now') - 2440587.5) * 86400))",
        "CREATE TRIGGER audit_update AFTER UPDATE OF status, lease_token ON jobcron_job BEGIN "
        "INSERT INTO audit (job, old, new, old_token, new_token) "
        "VALUES (NEW.id, OLD.status, NEW.status, OLD.lease_token, NEW.lease_token); END",
    ),
    "postgresql": (
        "CREATE TABLE audit (id bigserial PRIMARY KEY, job bigint, old int, new int, old_token bigint, "
        "new_token bigint, at double precision DEFAULT extract(epoch FROM clock_timestamp()))",
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO audit (job, old, new, old_token, new_token) "
        "VALUES (NEW.id, OLD.status, NEW.status, OLD.lease_token, NEW.lease_token); RETURN NULL; END $$",
        "CREATE TRIGGER audit_update AFTER UPDATE OF status, lease_token ON jobcron_job "
        "FOR EACH ROW EXECUTE FUNCTION audit()",
    ),
}


def make_audit(connection: Connection) -> None:
    """Have the database itself note every move of a job."""
    for statement in AUDIT[connection.dialect.name]:
        connection.exec_driver_sql(statement)


ENDED_BY_RUNS = (
    f"SELECT count(*) AS n FROM audit WHERE new = {COMPLETED} "
    f"AND (old = {RUNNING} OR old = {WAITING} AND new_token = old_token + 1)"
)
"""The second are those of groups: whoever completes a job by hand gives it no token."""


class Mark(NamedTuple):
    """A line of the journal."""

    event: str
    job: int
    token: int
    process: int
    at: int


class Limit(NamedTuple):
    """A limit of a channel: so many jobs run in it at once, or so many with the same key."""

    channel: str
    most: int
    is_per_key: bool = False


class Evidence(NamedTuple):
    """What is left of a proof.

    Attributes:
        jobs: the rows, by number.
        kinds: of the jobs whose creation was committed.
        ledger: (job, token, note) of the effects that were committed.
        money: what all accounts hold together.
        moves: (job, old, new, old_token, new_token) as the database noted them.
        events: the kinds in the jobs' histories.
        interrupted: the tokens of the attempts that were, by the jobs' histories.
        afresh: the last token before an operator let a job wait again with its counts at 0, by its history.
        reports: (job, token) of the OOPS files, with their names.
        counted: completed jobs, summed over the rows of all runs.
        completed: moves to COMPLETED by runs, of all jobs.
        journal: its lines.
        crash_limit: the instance's.
        money_before: what the accounts held at first.
        is_calm: whether nothing died, so that the counts have to be exact.
        moments: when each of the moves was made, in seconds.
        edges: (successor, predecessor) of graphs; each asks for success.
        limits: how many jobs of a channel, or of a channel and a key, may run at once.
        lease_seconds: so long a claim lasts at least; 0: leases are ended by the proof, and limits are not judged.
    """

    jobs: dict[int, Any]
    kinds: dict[int, str]
    ledger: list[tuple[int, int, str]]
    money: int
    moves: list[tuple[int, int, int, int, int]]
    events: dict[int, Counter[str]]
    interrupted: dict[int, list[int]]
    afresh: dict[int, int]
    reports: dict[tuple[int, int], list[str]]
    counted: int
    completed: int
    journal: list[Mark]
    crash_limit: int
    money_before: int
    is_calm: bool
    moments: Sequence[float] = ()
    edges: Sequence[tuple[int, int]] = ()
    limits: Sequence[Limit] = ()
    lease_seconds: float = 0.0


def gather(
    engine: Engine,
    state: Path,
    *,
    since: int = 0,
    crash_limit: int = 3,
    money: int = 8000,
    is_calm: bool = False,
    limits: Sequence[Limit] = (),
    lease_seconds: float = 0.0,
) -> Evidence:
    """Read what is left.

    Args:
        engine: of the database.
        state: the directory with the reports (``oops``) and the journal.
        since: judge only jobs with this number or a greater one.
        crash_limit: the instance's.
        money: what the accounts held at first.
        is_calm, limits, lease_seconds: see `Evidence`.
    """
    with engine.connect() as connection:

        def rows(statement: str) -> list[Any]:
            return list(connection.execute(text(statement), {"since": since}))

        jobs = {row.id: row for row in rows("SELECT * FROM jobcron_job WHERE id >= :since")}
        events: defaultdict[int, Counter[str]] = defaultdict(Counter)
        interrupted: defaultdict[int, list[int]] = defaultdict(list)
        afresh: dict[int, int] = {}
        for row in rows("SELECT job, kind, detail, lease_token FROM jobcron_event WHERE job >= :since"):
            events[row.job][row.kind] += 1
            # One that was interrupted and met another one with its key does not wait again.
            if row.kind == "interrupted" or (
                row.kind == "superseded" and str(row.detail).startswith("interrupted")
            ):
                interrupted[row.job].append(row.lease_token)
            elif row.kind in ("requeued", "resumed"):
                afresh[row.job] = max(row.lease_token, afresh.get(row.job, 0))
        return Evidence(
            jobs=jobs,
            kinds={row.job: row.kind for row in rows("SELECT job, kind FROM made WHERE job >= :since")},
            ledger=[tuple(r) for r in rows("SELECT job, token, note FROM ledger WHERE job >= :since ORDER BY id")],
            money=rows("SELECT sum(balance) AS balance FROM account")[0].balance,
            moves=[
                tuple(r)
                for r in rows(
                    "SELECT job, old, new, old_token, new_token FROM audit WHERE job >= :since ORDER BY id"
                )
            ],
            events=events,
            interrupted=interrupted,
            afresh=afresh,
            reports=_reports(state / "oops", since),
            counted=rows("SELECT coalesce(sum(completed), 0) AS n FROM jobcron_run")[0].n,
            completed=rows(ENDED_BY_RUNS)[0].n,
            journal=_journal(state / "journal", since),
            crash_limit=crash_limit,
            money_before=money,
            is_calm=is_calm,
            moments=[row.at for row in rows("SELECT at FROM audit WHERE job >= :since ORDER BY id")],
            edges=[
                tuple(r) for r in rows("SELECT successor, predecessor FROM jobcron_edge WHERE successor >= :since")
            ],
            limits=limits,
            lease_seconds=lease_seconds,
        )


def _reports(folder: Path, since: int) -> dict[tuple[int, int], list[str]]:
    found: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for path in folder.glob("*/OOPS-*"):
        match = re.fullmatch(r"OOPS-[A-Za-z]+(\d+)-(\d+)-[0-9a-f]{8}", path.name)
        if match and int(match[1]) >= since:
            found[int(match[1]), int(match[2])].append(path.name)
    return found


def _journal(path: Path, since: int) -> list[Mark]:
    if not path.exists():
        return []
    marks = []
    for line in path.read_text().splitlines():
        event, *numbers = line.split()
        mark = Mark(event, *map(int, numbers))
        if mark.job >= since:
            marks.append(mark)
    return marks


def i1_none_lost(e: Evidence) -> Iterator[str]:
    """Every committed creation is a row, every row was committed by its creator, and none is left undone."""
    for job in e.kinds.keys() - e.jobs.keys():
        yield f"job {job} was made and is gone"
    for job in e.jobs.keys() - e.kinds.keys():
        yield f"job {job} is there, and nobody made it"
    for job, row in e.jobs.items():
        if row.status in (WAITING, RUNNING):
            yield f"job {job} ({e.kinds.get(job)}) is left in status {row.status}"


def i2_no_effect_twice(e: Evidence) -> Iterator[str]:
    """A completed job had its effect once, in its last attempt; any other had none; money is only moved."""
    notes: defaultdict[int, list[str]] = defaultdict(list)
    ended = {(mark.job, mark.token) for mark in e.journal if mark.event == "end"}
    for job, token, note in e.ledger:
        notes[job].append(note)
        if note in ("done", TASKS[-1]) and job in e.jobs and token != e.jobs[job].lease_token:
            yield f"job {job}: attempt {token} committed, and the lease was that of {e.jobs[job].lease_token}"
    for job, row in e.jobs.items():
        done = notes[job].count("done")
        if e.kinds.get(job) in STEPS:
            done = notes[job].count(TASKS[-1])
            if notes[job] != TASKS[: len(notes[job])]:  # a job that died too often has done the first ones
                yield f"job {job} ({e.kinds[job]}): its tasks had their effects as {notes[job]}"
        elif e.kinds.get(job) == "idle":
            done += row.status == COMPLETED and (job, row.lease_token) in ended
        if done != (1 if row.status == COMPLETED else 0):
            yield f"job {job} ({e.kinds.get(job)}) in status {row.status} had its effect {done} times"
        if "never" in notes[job]:
            yield f"job {job} ({e.kinds.get(job)}): an effect that was rolled back is there"
    if e.money != e.money_before:
        yield f"the accounts hold {e.money}, they held {e.money_before}"


def i3_ends_as_it_has_to(e: Evidence) -> Iterator[str]:
    """A job of each kind ends as its kind does, at the crash limit, or unbegun at its expiry; nothing is stuck."""
    begun = {mark.job for mark in e.journal}
    for job, row in e.jobs.items():
        kind = e.kinds.get(job, "")
        if row.status == RUNNING:
            yield f"job {job} ({kind}) is stuck: RUNNING, claimed by {row.claimed_by}"
        elif row.status == EXPIRED and row.expires_at is not None:
            if job in begun:
                yield f"job {job} ({kind}) expired, and had begun"
        elif kind in UNIQUE and row.status == CANCELLED and e.events[job]["superseded"]:
            continue  # it was interrupted, and met another one that had not started
        elif row.status == BLOCKED:
            continue  # see i14
        elif kind in SUCCEEDS and row.status != COMPLETED and not _is_poisoned(e, row):
            yield f"job {job} ({kind}) ended in status {row.status}: {row.log}"
        elif kind not in SUCCEEDS and row.status != FAILED:
            yield f"job {job} ({kind}) ended in status {row.status}"


def _is_poisoned(e: Evidence, row: Any) -> bool:
    return bool(row.status == FAILED and row.crash_count >= e.crash_limit)


def i4_never_two_at_once(e: Evidence) -> Iterator[str]:
    """Two attempts overlap only if the earlier lost its lease, and then it committed nothing."""
    begun: dict[tuple[int, int], Mark] = {}
    ended: dict[tuple[int, int], Mark] = {}
    for mark in e.journal:
        if mark.event not in ("begin", "end"):  # of a group that was rolled back, the token is given again
            continue
        where = begun if mark.event == "begin" else ended
        if (mark.job, mark.token) in where:
            yield f"job {mark.job}: two attempts have the token {mark.token}"
        where[mark.job, mark.token] = mark
    committed = {(job, token) for job, token, note in e.ledger if note == "done"}
    by_job: defaultdict[int, list[Mark]] = defaultdict(list)
    for mark in begun.values():
        by_job[mark.job].append(mark)
    for job, marks in by_job.items():
        marks.sort(key=lambda mark: mark.token)
        for earlier, later in zip(marks, marks[1:], strict=False):
            end = ended.get((job, earlier.token))
            overlaps = later.at < earlier.at or (end is not None and end.at > later.at)
            if overlaps and (job, earlier.token) in committed:
                yield f"job {job}: attempt {earlier.token} committed, while {later.token} had begun"


def i5_one_report_each(e: Evidence) -> Iterator[str]:
    """Each reported end has one report, named by the row; nothing else has any."""
    for (job, token), names in e.reports.items():
        row = e.jobs.get(job)
        if len(names) > 1:
            yield f"job {job}, attempt {token}: {len(names)} reports"
        if row is None:
            yield f"a report about job {job}, which is not there: {names}"
        elif row.oops_id not in names and not token < row.lease_token:
            yield f"job {job}: the report {names} of its last attempt is not the row's ({row.oops_id})"
        elif e.is_calm and row.oops_id not in names:
            yield f"job {job}: the report {names} belongs to no end, though nothing died"
        elif e.kinds.get(job) not in REPORTED and not (row.status == FAILED and row.crash_count):
            yield f"job {job} ({e.kinds.get(job)}) has a report: {names}"
    for job, row in e.jobs.items():
        # A user's error has none; the end of such a job at the crash limit is no user's error.
        is_reported = row.status == FAILED and (e.kinds.get(job) != "user" or _is_poisoned(e, row))
        names = e.reports.get((job, row.lease_token), [])
        if is_reported and row.oops_id not in names:
            yield f"job {job} ({e.kinds.get(job)}) failed, and its report {row.oops_id} is not there"
        if not is_reported and row.oops_id is not None:
            yield f"job {job} ({e.kinds.get(job)}) in status {row.status} names a report, {row.oops_id}"


def i6_order(e: Evidence) -> Iterator[str]:
    """Where nothing died and one runner ran, first attempts began in the order (priority, due time, number)."""
    if not e.is_calm or len({mark.process for mark in e.journal}) > 1:
        return
    first = list(
        dict.fromkeys(mark.job for mark in e.journal if mark.event in ("begin", "share") and mark.token == 1)
    )
    follow = {successor for successor, _ in e.edges}
    first = [job for job in first if job not in follow]
    in_order = sorted(first, key=lambda job: (e.jobs[job].priority, _due(e, job), job))
    if first != in_order:
        yield f"jobs began in the order {first}, expected {in_order}"


def _due(e: Evidence, job: int) -> Any:
    # A retry has moved its due time: then its creation stands for it.
    return e.jobs[job].date_created


def i7_attempts_counted(e: Evidence) -> Iterator[str]:
    """attempt_count is the number of attempts begun but for interrupted ones; over by at most one per death.

    It counts from the last time that an operator let the job wait again.
    """
    # An attempt at a job of steps begins with whichever task is next, and may do several; the commit of a task is
    # the success of an attempt, and the counts begin anew with it.
    tokens: defaultdict[int, set[int]] = defaultdict(set)
    committed = {(job, token) for job, token, note in e.ledger if note == "done"}
    for mark in e.journal:
        # An attempt in a group is one if the group was committed, with its effects and its end.
        is_one = mark.event in ("begin", "task") or (mark.event == "share" and (mark.job, mark.token) in committed)
        if is_one:
            tokens[mark.job].add(mark.token)
    since: dict[int, int] = {job: token for job, token, note in e.ledger if note in TASKS[:-1]}
    for job, row in e.jobs.items():
        first = max(since.get(job, 0), e.afresh.get(job, -1) + 1)
        begun = sum(token >= first for token in tokens[job])
        # A run that is asked to stop may interrupt a job before that says that it begins: the claim counted the
        # attempt, the interruption took it back, and the journal has none.
        least = begun - sum(token >= first for token in e.interrupted[job] if token in tokens[job])
        most = least + (0 if e.is_calm else row.crash_count)
        if not least <= row.attempt_count <= most:
            yield f"job {job}: attempt_count {row.attempt_count}, expected {least} to {most} of {begun} begun"


def i8_legal_moves(e: Evidence) -> Iterator[str]:
    """Every move is legal; tokens never fall, and grow whenever a job starts."""
    last: dict[int, tuple[int, int]] = {}
    for job, old, new, old_token, new_token in e.moves:
        if new not in LEGAL[old]:
            yield f"job {job} moved from {old} to {new}"
        if new_token < old_token:
            yield f"job {job}: its token fell from {old_token} to {new_token}"
        if new == RUNNING and new_token <= old_token:  # a renewal is no move, and is not noted
            yield f"job {job} was taken without a new token"
        if job in last and last[job] != (old, old_token):
            yield f"job {job}: a move from {(old, old_token)} follows one to {last[job]}"
        last[job] = (new, new_token)


def i9_one_per_key(e: Evidence) -> Iterator[str]:
    """At most one job for each key has not started."""
    waiting = Counter(row.unique_key for row in e.jobs.values() if row.unique_key and row.status in NOT_STARTED)
    for key, count in waiting.items():
        if count > 1:
            yield f"{count} jobs with the key {key!r} have not started"


def i10_truthful_counts(e: Evidence) -> Iterator[str]:
    """The rows of runs count no more than happened; where nothing died, exactly that."""
    if e.counted > e.completed or (e.is_calm and e.counted != e.completed):
        yield f"the rows of runs count {e.counted} completed jobs, there were {e.completed}"


def i12_poison_is_contained(e: Evidence) -> Iterator[str]:
    """A job whose process died as often as the limit says is not begun again; no other death is counted.

    A process that was to end such a job may die as well, and so may one that has claimed a job and not begun it.
    """
    begun: defaultdict[int, set[int]] = defaultdict(set)
    for mark in e.journal:
        if mark.event in ("begin", "task"):  # in a group no process is known to have died
            begun[mark.job].add(mark.token)
    died: defaultdict[int, set[int]] = defaultdict(set)
    for job, old, new, old_token, _ in e.moves:
        if old == new == RUNNING and old_token in begun[job] and old_token > e.afresh.get(job, -1):
            died[job].add(old_token)
    for job, tokens in died.items():
        last = sorted(tokens)[e.crash_limit - 1 : e.crash_limit]
        if last and max(begun[job]) > last[0]:
            yield f"job {job} ({e.kinds.get(job)}) was begun again after {e.crash_limit} deaths, the limit"
    for job, row in e.jobs.items():
        if row.crash_count > e.crash_limit:
            yield f"job {job} ({e.kinds.get(job)}) died {row.crash_count} times, the limit is {e.crash_limit}"
        if row.begun_token > row.lease_token:
            yield f"job {job} has begun under the token {row.begun_token}, its own is {row.lease_token}"
        if e.kinds.get(job) == "poison" and row.crash_count < e.crash_limit:
            yield f"job {job} (poison) died {row.crash_count} times, expected {e.crash_limit}"


def i13_limits_hold(e: Evidence) -> Iterator[str]:
    """No job starts in a channel in which as many run as may, each of them under its first lease still.

    A job whose lease is over takes up no place, though its process may go on; whether it was renewed is not known.
    """
    if not e.lease_seconds:
        return
    for limit in e.limits:
        running: dict[int, float] = {}
        for (job, _, new, old_token, new_token), at in zip(e.moves, e.moments, strict=True):
            row = e.jobs.get(job)
            if row is None or not f"{row.channel}.".startswith(f"{limit.channel}."):
                continue
            if new == RUNNING and new_token > old_token:
                others = [
                    other
                    for other, since in running.items()
                    if other != job
                    and at < since + e.lease_seconds
                    and (not limit.is_per_key or e.jobs[other].channel_key == row.channel_key != "")
                ]
                if len(others) >= limit.most:
                    yield f"channel {limit.channel}: job {job} started while {others} ran, {limit.most} may"
                running[job] = at
            elif new != RUNNING:
                running.pop(job, None)


def i14_order_of_graphs(e: Evidence) -> Iterator[str]:
    """No job starts before its predecessors are COMPLETED; and none is left BLOCKED when they all are."""
    started: dict[int, int] = {}
    completed: dict[int, int] = {}
    for number, (job, _, new, old_token, new_token) in enumerate(e.moves):
        if new_token > old_token and new in (RUNNING, COMPLETED):
            started.setdefault(job, number)
        if new == COMPLETED:
            completed.setdefault(job, number)
    for successor, predecessor in e.edges:
        start, end = started.get(successor), completed.get(predecessor)
        if start is not None and (end is None or end > start):
            yield f"job {successor} started before its predecessor {predecessor} had completed"
    for job, row in e.jobs.items():
        before = [predecessor for successor, predecessor in e.edges if successor == job]
        if row.status == BLOCKED and all(
            e.jobs[number].status == COMPLETED for number in before if number in e.jobs
        ):
            yield f"job {job} is BLOCKED, and all that it waited for are done: {before}"


def i15_begun_by_code_that_has_it(e: Evidence) -> Iterator[str]:
    """The old release begins no job of which it lacks an argument, a function or a task."""
    for mark in e.journal:
        if mark.event == "old" and e.kinds.get(mark.job) in FRESH:
            yield f"job {mark.job} ({e.kinds[mark.job]}) was begun by a release that lacks its code"


INVARIANTS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    i1_none_lost,
    i2_no_effect_twice,
    i3_ends_as_it_has_to,
    i4_never_two_at_once,
    i5_one_report_each,
    i6_order,
    i7_attempts_counted,
    i8_legal_moves,
    i9_one_per_key,
    i10_truthful_counts,
    i12_poison_is_contained,
    i13_limits_hold,
    i14_order_of_graphs,
    i15_begun_by_code_that_has_it,
)
"""All but I11 (descriptors, memory and connections are bounded), which only a process can tell: the storm's."""


def judge(evidence: Evidence) -> list[str]:
    """Return every violation, each after the name of its invariant."""
    return [f"{rule.__name__}: {violation}" for rule in INVARIANTS for violation in rule(evidence)]
