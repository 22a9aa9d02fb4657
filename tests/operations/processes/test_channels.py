"""What an operator sees of channels: limits, what runs in them and for whom, and what waits."""

from __future__ import annotations

import pytest

from channel_jobs import SOMEBODY, limit, take, take_all
from instances import SECTIONS, Instance
from jobcron.errors import ConfigurationError
from jobcron.operations.forecast.plan import plan_section
from jobcron.operations.pauses import Scope, pause
from jobcron.operations.processes.channels import channel_states, is_within, reset_limits, set_limits
from jobcron.operations.reasons import Cause
from jobcron.operations.undo import recent_acts
from jobcron.operations.why import explain_job
from jobcron.settings.instance import load_settings


def test_a_channel_shows_what_runs_in_it_and_below_it(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    running = instance.act(channel="root.export.eu", channel_key="7")
    instance.act(channel="root.export")
    instance.act(channel="root.mail")
    assert take_all(instance)[:1] == [running]
    with instance.database.begin() as connection:
        pause(connection, load_settings(str(instance.path)), Scope.CHANNEL, "root.export.eu")
        states = {state.name: state for state in channel_states(connection)}
    assert sorted(states) == ["root.export", "root.export.eu", "root.mail"]
    export = states["root.export"]
    assert (export.capacity, export.used, export.waiting, export.is_full) == (1, 1, 1, True)
    (place,) = export.places
    assert (place.job, place.channel, place.key, place.claimed_by) == (
        running,
        "root.export.eu",
        "7",
        SOMEBODY.name,
    )
    assert export.pause is None
    assert states["root.export.eu"].pause is not None
    assert (states["root.mail"].used, states["root.mail"].waiting, states["root.mail"].is_full) == (1, 0, False)


def test_a_dead_job_is_in_no_place(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    instance.end_lease(take_all_of(instance))
    with instance.database.begin(writing=False) as connection:
        assert [(state.used, state.places) for state in channel_states(connection)] == [(0, ())]


def take_all_of(instance: Instance) -> int:
    """Claim one job in a channel."""
    job = instance.act(channel="root.export")
    assert take_all(instance) == [job]
    return job


def test_who_changed_the_limits_of_a_channel_is_among_the_acts(instance: Instance) -> None:
    with instance.database.begin() as connection:
        set_limits(connection, "root.export", {"capacity": 2, "per_key": 1}, "ada")
        reset_limits(connection, "root.export", "bob")
        found = recent_acts(connection)
    assert [(act.name, act.actor, act.instead) for act in found] == [
        ("channel root.export reset: no limit", "bob", "set its limits again instead"),
        ("channel root.export: 2 at once, 1 at once for each key", "ada", "set its limits again instead"),
    ]


def test_limits_are_set_and_reset(instance: Instance) -> None:
    with instance.database.begin() as connection:
        state = set_limits(connection, "root.export", {"capacity": 2}, "me")
        assert (state.capacity, state.per_key, state.changed_by) == (2, None, "me")
        state = set_limits(connection, "root.export", {"per_key": 1}, "you")
        assert (state.capacity, state.per_key, state.changed_by) == (2, 1, "you")
        assert reset_limits(connection, "root.export") is None
        with pytest.raises(ConfigurationError, match=r"expected the name of a channel such as root\.export"):
            set_limits(connection, "export", {"capacity": 1}, "me")


def test_a_channel_is_within_another_by_whole_names() -> None:
    assert is_within("root.export.eu", "root.export")
    assert is_within("root.export", "root.export")
    assert not is_within("root.exporters", "root.export")


def causes(instance: Instance, job: int) -> list[tuple[Cause, str]]:
    """Return what keeps a job from running, as far as its row says it."""
    with instance.database.begin(writing=False) as connection:
        found = explain_job(connection, job)
        return [(reason.cause, reason.text) for reason in found.reasons if reason.is_blocking]


def test_why_names_the_full_channel_and_who_takes_its_places(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    running = instance.act(channel="root.export.eu")
    waiting = instance.act(channel="root.export")
    assert take_all(instance) == [running]
    told = f"channel root.export is full: 1 of 1 jobs run: job {running} by {SOMEBODY.name}"
    assert causes(instance, waiting) == [(Cause.NO_ROOM, told)]
    limit(instance, "root.export", capacity=2)
    assert causes(instance, waiting) == []


def test_why_names_the_key_and_the_pause_of_a_channel(instance: Instance) -> None:
    limit(instance, "root.export", per_key=1)
    running = instance.act(channel="root.export", channel_key="7")
    waiting = instance.act(channel="root.export", channel_key="7")
    other = instance.act(channel="root.export", channel_key="8")
    assert take(instance, 1) == [running]
    ((cause, told),) = causes(instance, waiting)
    assert cause is Cause.NO_ROOM
    assert "channel root.export is full: 1 of 1 jobs with the key '7' run" in told
    assert causes(instance, other) == []
    with instance.database.begin() as connection:
        pause(connection, load_settings(str(instance.path)), Scope.CHANNEL, "root")
    assert [cause for cause, _ in causes(instance, other)] == [Cause.PAUSED]


def test_why_of_a_section_s_job_looks_at_the_section_s_channel(instance: Instance) -> None:
    instance.configure(sections=SECTIONS.replace("[act]\n", "[act]\nchannel: root.act\n"))
    instance.run("act")
    limit(instance, "root.act", capacity=0)
    job = instance.act()
    out, _ = instance.command("why", str(job), expect=1)
    assert "channel root.act is full: 0 of 0 jobs run" in out


def test_the_plan_of_a_run_has_only_jobs_that_have_room(instance: Instance) -> None:
    limit(instance, "root.export", capacity=1)
    running = instance.act(channel="root.export")
    assert take_all(instance) == [running]
    waiting, other = instance.act(channel="root.export"), instance.act(channel="root.mail")
    free = instance.act()
    settings = load_settings(str(instance.path))
    instance.command("run", "do_foo")
    with instance.database.begin(writing=False) as connection:
        plan = plan_section(connection, settings, settings.section("act"))
    assert [job.id for job in plan.jobs] == [other, free]
    assert waiting not in [job.id for job in plan.jobs]


@pytest.mark.parametrize("own", [False, True])
def test_jobs_wait_in_the_channel_of_their_section_unless_they_have_one(instance: Instance, own: bool) -> None:
    sections = "[act]\nsource_interface: fooapp.IActJobSource\nchannel: root.export\n"
    again = "[again]\nsource_interface: fooapp.ActJob\nchannel: root.other\n"
    instance.configure(sections=sections + again + "[telling]\nsource_interface: fooapp.TellingJob\n")
    waiting = [instance.act() for _ in range(3)]
    instance.act(channel="root.mail")
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        found = channel_states(connection, settings if own else None)
        counts = {state.name: state.waiting for state in found}
    assert counts == {"root.mail": 1, **({"root.export": len(waiting)} if own else {})}
