"""What runs have done over a span of time, in parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from instances import Instance
from jobcron.operations.processes.trends import Trends, trends
from jobcron.operations.selection import sources_of
from jobcron.settings.instance import load_settings

HOUR = timedelta(hours=1)


def ago(instance: Instance, **length: float) -> str:
    """Return a time as a statement has it, so long ago."""
    at = datetime.now(UTC) - timedelta(**length)
    return f"{at:%Y-%m-%d %H:%M:%S.%f}" + ("+00:00" if instance.database.dialect == "postgresql" else "")


def add_run(
    instance: Instance, minutes: float, completed: int, waited: float | None = 0.0, ran: float | None = 0.0,
    *, name: str = "act", incomplete: int = 0,
) -> None:  # fmt: skip
    """Add the row of a run that ended so many minutes ago."""
    instance.query(
        "INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses,"
        " waited, ran) VALUES (:name, 'far', :at, :at, :completed, :incomplete, :incomplete, :waited, :ran)",
        name=name, at=ago(instance, minutes=minutes), completed=completed, incomplete=incomplete, waited=waited,
        ran=ran,
    )  # fmt: skip


def found(
    instance: Instance, count: int = 6, section: str | None = None, sections: tuple[str, ...] = ()
) -> Trends:
    """Return the trends of the last hour."""
    sources: tuple[str, ...] = ()
    if section is not None:
        settings = load_settings(str(instance.path))
        sources = sources_of(settings, settings.section(section))
    with instance.database.begin(writing=False) as connection:
        return trends(connection, HOUR, count, sections or ("act", "do_foo"), sources)


def test_runs_are_added_up_by_the_part_of_the_span_in_which_they_ended(instance: Instance) -> None:
    for minutes in (75, 61):
        add_run(instance, minutes, 100, 100.0, 100.0)
    add_run(instance, 55, 4, 40.0, 8.0, incomplete=1)
    add_run(instance, 52, 5, 10.0, 2.0)
    add_run(instance, 5, 3, None, None)
    add_run(instance, 4, 7, 70.0, 14.0)
    add_run(instance, 3, 1000, name="prune")
    became = found(instance)
    assert became.is_complete
    assert [part.completed for part in became.parts] == [9, 0, 0, 0, 0, 10]
    assert [part.incomplete for part in became.parts] == [1, 0, 0, 0, 0, 0]
    assert [part.timed for part in became.parts] == [10, 0, 0, 0, 0, 7], "an older release does not say how long"
    assert [part.waited for part in became.parts] == [50.0, 0, 0, 0, 0, 70.0]
    assert [part.ran for part in became.parts] == [10.0, 0, 0, 0, 0, 14.0]
    assert {later.start - part.start for part, later in pairwise(became.parts)} == {HOUR / 6}
    assert [part.completed for part in found(instance, sections=("prune",)).parts][-1] == 1000


def test_what_is_of_the_span_is_found_wherever_it_begins(instance: Instance) -> None:
    for minutes in range(90, 0, -2):
        add_run(instance, minutes + 0.5, 1)
    for ended in range(1, 6):
        assert sum(part.completed for part in found(instance).parts) == 30 - ended
        instance.query("DELETE FROM jobcron_run WHERE id = (SELECT max(id) FROM jobcron_run)")
    instance.query("DELETE FROM jobcron_run")
    assert {part.completed for part in found(instance).parts} == {0}


def test_of_too_many_runs_the_newest_are_added_up_and_that_is_said(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in range(30, 0, -1):
        add_run(instance, minutes, 1)
    monkeypatch.setattr("jobcron.operations.processes.trends.RUNS", 20)
    became = found(instance)
    assert not became.is_complete
    assert sum(part.completed for part in became.parts) == 20
    monkeypatch.setattr("jobcron.operations.processes.trends.RUNS", 30)
    assert found(instance).is_complete


def test_failures_are_counted_by_their_kind_and_for_one_section(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for action in (("raise", "value"), ("raise", "value"), ("raise", "user"), ("write", "x")):
        instance.act(action)
    instance.run("act")
    kinds = {kind for (kind,) in instance.query("SELECT kind FROM jobcron_event")}
    assert kinds == {"failed", "user error"}
    assert [part.failures for part in found(instance, 2).parts] == [(0, 0, 0), (2, 1, 0)]
    assert [part.failures for part in found(instance, 2, "act").parts] == [(0, 0, 0), (2, 1, 0)]
    assert [part.failures for part in found(instance, 2, "do_foo").parts] == [(0, 0, 0)] * 2
    monkeypatch.setattr("jobcron.operations.processes.trends.EVENTS", 1)
    became = found(instance, 2)
    assert sum(map(sum, (part.failures for part in became.parts))) == 1
    assert not became.is_complete
