"""Statements that commit themselves: the fence is their one message, and nothing of a job is left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from logging import getLogger
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from faulty_proxy import FaultyProxy
from fooapp import ActJob
from instances import Instance
from jobcron import Database, JobRunner, JobStatus
from jobcron.database.sessions import ATTEMPT
from jobcron.database.statements import execute
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.loading import FeedOrder
from jobcron.queue.type_feed import TypeFeed
from jobcron.queue.views import SourceView
from jobcron.testing.server import PrivatePostgreSQL

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE starts_with(name, 'jobcron_complete_')"


def taken(instance: Instance) -> Claim:
    """Return our claim on a new job."""
    number = instance.act()
    with instance.database.begin() as connection:
        (claim,) = claim_one(connection, number, Claimant("me", 300.0))
    return claim


def completing(claim: Claim) -> dict[str, int | None]:
    """Return the parameters of the statement that completes a job."""
    return {"id": claim.id, "token": claim.token, **dict.fromkeys(("progress", "steps", "next", "next_token"))}


def complete(database: Database, claim: Claim) -> int | None:
    """Complete a claimed job as the end of a job that has begun no transaction; return how many that were."""
    with closing(database.session()) as session:
        try:
            rows = database.execute_alone(session, "complete", completing(claim))
            return None if rows is None else len(rows)
        finally:
            database.job_ended()


@pytest.fixture
def database(instance: Instance) -> Iterator[Database]:
    """Return a database whose work is done on one connection."""
    with closing(Database(instance.url)) as found:
        yield found


@pytest.mark.feature("LP-01", "LP-23")
def test_a_statement_that_commits_itself_is_the_fence_and_the_commit(
    instance: Instance, database: Database
) -> None:
    for _ in range(3):  # it is prepared by the first that finds nothing to clear
        claim = taken(instance)
        assert complete(database, claim._replace(token=claim.token + 1)) == 0
        assert instance.row(claim.id).status is JobStatus.RUNNING
        assert complete(database, claim) == 1
        assert instance.row(claim.id).status is JobStatus.COMPLETED
        assert complete(database, claim) == 0


def test_a_session_that_has_begun_a_transaction_completes_in_it(instance: Instance, database: Database) -> None:
    claim = taken(instance)
    with closing(database.session()) as session:
        session.begin()
        assert database.execute_alone(session, "complete", completing(claim)) is None
    assert instance.row(claim.id).status is JobStatus.RUNNING


@pytest.mark.parametrize("moment", ["before_commit", "after_commit", "after_begin"])
def test_whoever_listens_to_the_transactions_of_jobs_hears_of_one_for_each(
    instance: Instance, moment: str
) -> None:
    heard: list[object] = []
    with closing(Database(instance.url)) as database:
        event.listen(
            database.session_class, moment, lambda session, *more: heard.append(session.info.get(ATTEMPT))
        )
        instance.act()
        JobRunner.runFromSource(ActJob, database)
    assert [attempt for attempt in heard if attempt is not None]  # besides those of claims


@on_postgresql
def test_what_a_job_has_left_is_cleared_by_the_message_that_completes_it(
    instance: Instance, database: Database, server: PrivatePostgreSQL
) -> None:
    left = "SET search_path = elsewhere; SET TIME ZONE 'Asia/Tokyo'; CREATE TEMP TABLE kept (id int)"
    seen = "SELECT current_setting('search_path'), current_setting('TimeZone'), to_regclass('pg_temp.kept')::text"
    with database.begin() as connection:
        before = connection.exec_driver_sql(seen).one()
    for prepares in (False, True):
        claim = taken(instance)
        with database.session() as session:
            session.connection().exec_driver_sql(left)
            session.connection().exec_driver_sql("SELECT pg_advisory_lock(7)")
            if prepares:
                session.connection().exec_driver_sql("PREPARE jobcron_complete AS SELECT 1")
            session.commit()
        assert complete(database, claim) == 1
        with database.begin() as connection:
            assert connection.exec_driver_sql(seen).one() == before
            assert connection.exec_driver_sql(PREPARED).scalar() == 0
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert connection.exec_driver_sql(locks).scalar() == 0


@on_postgresql
def test_the_statement_is_prepared_once_where_there_is_nothing_to_clear(
    instance: Instance, database: Database, server: PrivatePostgreSQL
) -> None:
    claims = [taken(instance) for _ in range(4)]
    with FaultyProxy(server) as proxy, closing(Database(proxy.url(str(database.engine.url.database)))) as counted:
        assert complete(counted, claims[0]) == 1
        counts = []
        for claim in claims[1:]:
            proxy.messages = 0
            assert complete(counted, claim) == 1
            counts.append(proxy.messages)
        assert counts == [1, 1, 1]
        with counted.begin() as connection:
            assert connection.exec_driver_sql(PREPARED).scalar() == 1


@on_postgresql
def test_what_was_prepared_and_is_gone_is_completed_in_a_transaction_and_not_prepared_again(
    instance: Instance, database: Database
) -> None:
    claims = [taken(instance) for _ in range(4)]
    assert complete(database, claims[0]) == 1
    assert complete(database, claims[1]) == 1
    connection = database.engine.raw_connection()
    connection.driver_connection.ask("DEALLOCATE ALL; SELECT 1")  # type: ignore[union-attr]
    connection.close()
    assert complete(database, claims[2]) is None
    assert instance.row(claims[2].id).status is JobStatus.RUNNING
    assert complete(database, claims[2]) == 1
    assert complete(database, claims[3]) == 1


@on_postgresql
def test_what_the_server_refuses_is_left_to_a_transaction_which_raises_the_reason(
    instance: Instance, database: Database
) -> None:
    claim = taken(instance)
    with instance.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER refusing BEFORE UPDATE ON jobcron_job FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    assert complete(database, claim) is None
    with pytest.raises(DBAPIError, match="not today"), database.begin() as connection:
        execute(connection, "complete", completing(claim))
    assert instance.row(claim.id).status is JobStatus.RUNNING


@on_sqlite
def test_the_lock_of_sqlite_is_waited_for_in_a_transaction_only(instance: Instance, database: Database) -> None:
    claim = taken(instance)
    assert complete(database, taken(instance)) == 1
    with instance.database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert complete(database, claim) is None
    assert complete(database, claim) == 1
    for writing in (False, True):
        with database.begin(writing=writing) as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


@on_postgresql
def test_a_transaction_that_a_job_left_on_the_server_does_not_undo_a_completion(
    instance: Instance, database: Database
) -> None:
    claim = taken(instance)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("BEGIN")
    is_completed = complete(database, claim) == 1
    assert (instance.row(claim.id).status is JobStatus.COMPLETED) is is_completed


def test_a_listener_of_no_module_is_somebody_who_listens(instance: Instance, database: Database) -> None:
    claim, heard = taken(instance), list[Any]()
    with closing(database.session()) as session:
        event.listen(session, "after_commit", heard.append)
        assert database.execute_alone(session, "complete", completing(claim)) is None


@pytest.mark.parametrize("moment", ["checkout", "checkin", "reset"])
def test_whoever_listens_to_the_pool_hears_of_the_connection_for_a_completion(
    instance: Instance, database: Database, moment: str
) -> None:
    heard: list[object] = []
    assert complete(database, taken(instance)) == 1
    taken_before = database.connections_taken
    assert complete(database, taken(instance)) == 1
    assert database.connections_taken == taken_before, "nobody listens, and the pool says nothing"
    event.listen(database.engine, moment, lambda connection, *more: heard.append(connection))
    assert complete(database, taken(instance)) == 1
    assert len(heard) == 1


@on_sqlite
def test_a_connection_that_a_job_has_changed_completes_no_other_job(
    instance: Instance, database: Database
) -> None:
    claim = taken(instance)
    with database.session() as session:
        session.connection().exec_driver_sql("PRAGMA query_only = 1")
        session.commit()
    database.job_ended()
    assert complete(database, claim) == 1
    assert complete(database, taken(instance)) == 1


def test_a_pool_that_was_given_up_after_a_lost_connection_completes_over_a_new_one(
    instance: Instance, database: Database
) -> None:
    assert complete(database, taken(instance)) == 1
    with database.engine.connect() as connection:
        old = connection.connection.driver_connection
    database.engine.pool._invalidate_time = time.time() + 0.01  # as SQLAlchemy does after a lost connection
    time.sleep(0.02)
    assert complete(database, taken(instance)) == 1
    assert old is not None
    with pytest.raises(Exception, match="closed"):
        old.cursor()


@on_postgresql
def test_a_connection_that_the_server_has_closed_completes_nothing_and_the_next_one_does(
    instance: Instance, database: Database
) -> None:
    assert complete(database, taken(instance)) == 1
    with database.engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    instance.query("SELECT pg_terminate_backend(:number)", number=number)
    time.sleep(0.2)
    assert complete(database, taken(instance)) == 1


@on_postgresql
def test_a_connection_that_completes_jobs_does_not_rest_and_is_not_asked_whether_it_lives(
    instance: Instance, server: PrivatePostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.database.connecting._postgresql.IDLE_SECONDS", 0.5)
    claims, counts = [taken(instance) for _ in range(6)], []
    name = str(make_url(instance.url).database)
    with FaultyProxy(server) as proxy, closing(Database(proxy.url(name))) as counted:
        for claim in claims:
            proxy.messages = 0
            assert complete(counted, claim) == 1
            counts.append(proxy.messages)
            time.sleep(0.2)
    assert counts[1:] == [1, 1, 1, 1, 1]


def test_a_connection_whose_look_was_interrupted_is_not_used_again(
    instance: Instance, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(database, taken(instance)) == 1
    with database.engine.connect() as connection:
        old = connection.connection.driver_connection
    claim = taken(instance)

    def interrupted(driver: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_ping", interrupted)
        with pytest.raises(KeyboardInterrupt):
            complete(database, claim)
    assert complete(database, claim) == 1
    with database.engine.connect() as connection:
        assert connection.connection.driver_connection is not old


NAME = "o'me\\ 100%s"
"""The name of a claimant, with all that a literal has to escape."""


def claiming(instance: Instance, job: int) -> dict[str, object]:
    """Return the parameters of a claim."""
    ((type_id,),) = instance.query("SELECT type FROM jobcron_job WHERE id = :job", job=job)
    more = {"section": "act", "channel": "", "gone": "", "crash_limit": 3}
    return {"type": type_id, "batch": 9, "lease_seconds": 300.0, "claimed_by": NAME, **more}


@on_postgresql
def test_a_brief_transaction_is_seen_by_others_once_its_block_has_ended(
    instance: Instance, database: Database
) -> None:
    jobs = [instance.act(), instance.act()]
    for number, job in enumerate(jobs):
        with database.session() as session, database.brief(session) as brief:
            assert brief is not None
            rows = brief.rows("claim", {**claiming(instance, job), "batch": 1})
            assert [row[0] for row in rows] == [job]
            assert instance.row(job).status is JobStatus.WAITING
            if number:
                assert brief.rows("claim", claiming(instance, job)) == []
        assert instance.row(job).status is JobStatus.RUNNING
        assert instance.row(job).claimed_by == NAME, "a text is a text, whatever is in it"


@on_postgresql
@pytest.mark.parametrize("left", ["nothing", "a lock", "a setting"])
def test_a_brief_transaction_passes_over_what_others_claim_meanwhile_whatever_the_servers_default_is(
    instance: Instance, left: str
) -> None:
    first, second = instance.act(), instance.act()
    name = make_url(instance.url).database
    instance.query(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'")
    parameters = {**claiming(instance, first), "batch": 1}
    with (
        closing(Database(instance.url)) as one,
        closing(Database(instance.url)) as other,
        one.session() as session,
        other.session() as others,
    ):
        if left != "nothing":
            text = "SELECT pg_advisory_lock(9)" if left == "a lock" else "SET work_mem = '5MB'"
            session.connection().exec_driver_sql(text)
            session.commit()
            one.job_ended()
            if left == "a lock":
                assert one.execute_alone(session, "complete", completing(Claim(0, 0))) == []
        with one.brief(session) as brief:
            assert brief is not None
            assert brief.send("SELECT count(*) FROM jobcron_job") == [(2,)]
            with other.brief(others) as faster:
                assert faster is not None
                assert [row[0] for row in faster.rows("claim", parameters)] == [first]
            assert [row[0] for row in brief.rows("claim", parameters)] == [second]


@on_postgresql
@pytest.mark.parametrize("error", ["in the block", "of the server"])
def test_a_brief_transaction_that_fails_has_changed_nothing_and_its_connection_is_not_used_again(
    instance: Instance, database: Database, error: str
) -> None:
    job = instance.act()
    with database.session() as session:
        expected: type[Exception] = DBAPIError if error == "of the server" else LookupError
        with pytest.raises(expected), database.brief(session) as brief:  # noqa: PT012
            assert brief is not None
            brief.rows("claim", claiming(instance, job))
            if error == "of the server":
                brief.send("SELECT 1/0")
            raise LookupError
        assert instance.row(job).status is JobStatus.WAITING
        with database.brief(session) as brief:
            assert brief is not None
            assert len(brief.rows("claim", claiming(instance, job))) == 1
        assert session.connection().exec_driver_sql("SELECT 1").scalar() == 1


@on_postgresql
def test_what_a_job_has_left_is_cleared_before_the_next_claim(instance: Instance, database: Database) -> None:
    with database.session() as session:
        session.connection().exec_driver_sql("SET search_path = elsewhere")
        session.connection().exec_driver_sql("SELECT pg_advisory_lock(9)")
        session.commit()
        database.job_ended()
        with database.brief(session) as brief:
            assert brief is not None
            shown = brief.send("SELECT current_setting('search_path'), pg_try_advisory_lock(9)")
        assert shown != [("elsewhere", True)]
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9"
        with database.brief(session) as brief:
            assert brief is not None
            brief.send("SELECT pg_advisory_unlock(9)")
            assert brief.send(held) == [(0,)], "it was held once"


@on_postgresql
def test_a_session_that_has_begun_a_transaction_or_is_heard_claims_in_it(
    instance: Instance, database: Database
) -> None:
    with closing(database.session()) as session:
        session.begin()
        with database.brief(session) as brief:
            assert brief is None
    event.listen(database.session_class, "before_commit", lambda session: None)
    with closing(database.session()) as session, database.brief(session) as brief:
        assert brief is None


@on_sqlite
def test_on_sqlite_claims_are_in_transactions_of_sessions(instance: Instance, database: Database) -> None:
    with closing(database.session()) as session, database.brief(session) as brief:
        assert brief is None


@on_postgresql
def test_a_claim_whose_commit_got_no_answer_is_given_back(instance: Instance, server: PrivatePostgreSQL) -> None:
    first, name = instance.act(), str(make_url(instance.url).database)
    with FaultyProxy(server) as proxy, closing(Database(proxy.url(name))) as database:
        source = SourceView(ActJob)
        feed = TypeFeed(FeedOrder(source, database, Claimant("me", 300.0), 9, 3, getLogger()))
        with closing(database.session()) as session:
            assert [entry.claim.id for entry in feed.take(session, lambda: False)] == [first]
            second = instance.act()
            proxy.arm("after")  # the next COMMIT
            with pytest.raises(DBAPIError):
                feed.take(session, lambda: False)
            assert proxy.cuts == 1
    assert instance.row(first).status is JobStatus.RUNNING
    assert instance.row(second).status is JobStatus.WAITING
