"""The index of unique keys: what it costs who has no key, and who finds it, in new tables and upgraded ones."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from fooapp import ActJob
from instances import Instance
from jobcron import DuplicateJob
from jobcron.database.tables import jobs_connection
from jobcron.jobs.moves import bulk_moves
from migrations import make_upgraded
from query_cost import cost_of, noted_statements

BEFORE_THE_BUILD = "DROP INDEX jobcron_job_key"


@pytest.fixture(params=["new", "upgraded", "index not built yet"])
def tables(request: pytest.FixtureRequest, instance: Instance) -> Instance:
    """Return an instance with new tables, with upgraded ones, and with such as are at work in an upgrade.

    An upgrade of SQLite is one transaction, which nobody else sees before its end.
    """
    if request.param != "new":
        make_upgraded(instance.query)
    if request.param == "index not built yet" and instance.database.dialect == "postgresql":
        instance.query(BEFORE_THE_BUILD)
    return instance


def test_a_key_is_taken_until_its_job_has_begun(tables: Instance) -> None:
    with tables.session() as session:
        foo = tables.foo(session)
        first = ActJob.create(foo, unique_key="k", session=session).id
        with pytest.raises(DuplicateJob, match=f"found job {first}"):
            ActJob.create(foo, unique_key="k", session=session)
        with pytest.raises(DuplicateJob, match=f"found job {first}"):
            ActJob.createMultiple([{"target": foo, "unique_key": "k"}], session=session)
        assert ActJob.acquire(foo, unique_key="k", session=session).id == first
        assert ActJob.acquire(foo, unique_key="other", session=session).id != first
        ActJob.createMultiple([foo, foo, {"target": foo, "unique_key": "third"}], session=session)
    tables.run("act")
    with tables.session() as session:
        assert ActJob.acquire(tables.foo(session), unique_key="k", session=session).id > first
    assert [row.unique_key for row in tables.rows()] == ["k", "other", None, None, "third", "k"]


@pytest.mark.parametrize("how", ["create", "acquire", "createMultiple", "requeue"])
def test_a_key_is_looked_up_by_its_index_among_many_jobs(instance: Instance, how: str) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        plain = ActJob.create(foo, session=session).id
        ended = ActJob.create(foo, unique_key="k", session=session).job
        ended.cancel()
        ActJob.create(foo, unique_key="k", session=session)
        number, foo_id = ended.id, foo.id
    costs = []
    for more in (0, 3000):
        if more:
            instance.multiply(plain, more, json_data="'{}'")
            ended_too = {"status": "5", "unique_key": "'k'", "date_finished": "CURRENT_TIMESTAMP"}
            instance.multiply(number, more, json_data="'{}'", **ended_too)
            instance.query("ANALYZE")
        with noted_statements() as noted, instance.session() as session:
            use_key(session, how, foo_id, number)
            session.rollback()
        mine = [one for one in noted if "unique_key" in one[0] and "SELECT" in one[0]]
        assert mine
        costs.append(max(cost_of(instance, *one) for one in mine))
    few, many = costs
    assert many <= few + 500, costs


def use_key(session: Session, how: str, foo_id: int, ended: int) -> None:
    """Ask for the key, which another job has, in one of the ways."""
    foo = session.get_one(ActJob.context_class.foo.property.mapper.class_, foo_id)
    match how:
        case "create":
            with pytest.raises(DuplicateJob):
                ActJob.create(foo, unique_key="k", session=session)
        case "createMultiple":
            with pytest.raises(DuplicateJob):
                ActJob.createMultiple([{"target": foo, "unique_key": "k"}], session=session)
        case "acquire":
            ActJob.acquire(foo, unique_key="k", session=session)
        case _:
            changed = bulk_moves.change_jobs(jobs_connection(session), [ended], bulk_moves.requeue(), actor="me")
            assert "same unique key" in changed.refused[ended]
