"""Jobs are counted by what they have in common, among a limited number of rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

import fooapp
from instances import SECTIONS, Instance
from jobcron import ConfigurationError, JobStatus, load_settings
from jobcron.database.tables import jobs_connection
from jobcron.operations.grouping import Group, group_jobs
from jobcron.operations.selection import Selection
from jobcron.testing import JobFactory

F = JobStatus.FAILED


def test_jobs_are_grouped_by_what_they_have_in_common(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = JobFactory(session)
    day = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    for _ in range(3):
        error = f"Traceback\n{'x' * 600}\nValueError: wrong"
        factory.makeJob(F, queue_name="cats", channel="root.maps", requester="ada", log=error, date_created=day)
    factory.makeJob(F, type_name="other.ONE", log="OSError: away", date_created=day + timedelta(minutes=2))
    session.flush()
    connection = jobs_connection(session)

    def grouped(by: str, queue: str | None = None) -> dict[str | None, int]:
        found = group_jobs(connection, Selection(queue=queue), by)
        return {group.value: group.number for group in found.groups}

    assert grouped("type")["other.ONE"] == 1
    assert list(grouped("type").values()) == [3, 1]
    assert grouped("queue") == {"cats": 3, "default": 1}
    assert grouped("channel") == {"root.maps": 3, None: 1}
    assert grouped("requester") == {"ada": 3, None: 1}
    assert list(grouped("day").items()) == [("2026-03-01", 1), ("2026-02-28", 3)]
    assert grouped("error") == {"ValueError: wrong": 3, "OSError: away": 1}
    assert grouped("error", "cats") == {"ValueError: wrong": 3}
    assert group_jobs(connection, Selection(), "queue").is_complete
    monkeypatch.setattr("jobcron.operations.grouping.GROUPS", 1)
    found = group_jobs(connection, Selection(), "queue")
    assert (found.groups, found.is_complete) == ((Group("cats", 3),), False)
    assert not group_jobs(connection, Selection(), "error").is_complete
    monkeypatch.setattr("jobcron.operations.grouping.ERRORS", 2)
    assert grouped("error", "cats") == {"ValueError: wrong": 2}
    monkeypatch.setattr("jobcron.operations._rows.search.SEARCHED", 2)
    assert not group_jobs(connection, Selection(statuses=(F,)), "type").is_complete
    with pytest.raises(ConfigurationError, match="expected one of type, section, queue"):
        group_jobs(connection, Selection(), "moon")


def test_jobs_are_grouped_by_the_sections_that_run_their_types(instance: Instance) -> None:
    instance.configure(sections=f"{SECTIONS}[again]\nsource_interface: fooapp.IActJobSource\n")
    for _ in range(3):
        instance.act()
    instance.run("act")
    with instance.session() as session:
        fooapp.DoFooJob.create(instance.foo(session), session=session)
    fooapp.register()
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        found = group_jobs(connection, Selection(), "section", settings)
        assert {group.value: group.number for group in found.groups} == {"act": 3, "again": 3, "do_foo": 1}
        assert found.is_complete
        without = {name: section for name, section in settings.sections.items() if name != "do_foo"}
        found = group_jobs(connection, Selection(), "section", settings._replace(sections=without))
        assert Group(None, 1) in found.groups
