"""What is told of channels that keep their order: whose turn it is, and how the others go on."""

from __future__ import annotations

from channel_jobs import SOMEBODY, limit, take, take_all
from fooapp import DoFooJob
from instances import Instance
from jobcron.operations.processes.channels import channel_states, pass_over
from jobcron.operations.processes.turns import in_the_way
from jobcron.operations.reasons import Cause
from jobcron.operations.undo import recent_acts
from jobcron.operations.why import explain_job

FAIL = ("raise", "value")


def blocking(instance: Instance, job: int) -> list[tuple[Cause, str]]:
    """Return what keeps a job from running."""
    with instance.database.begin(writing=False) as connection:
        found = explain_job(connection, job)
    return [(reason.cause, reason.text) for reason in found.reasons if reason.is_blocking]


def test_why_names_the_job_whose_turn_it_is_and_says_nothing_of_turns_about_that_one(instance: Instance) -> None:
    limit(instance, "root", sequential="channel")
    first, second = instance.act(channel="root.a"), instance.act(channel="root.b")
    assert blocking(instance, second) == []  # both may begin; the first one goes ahead
    assert take_all(instance) == [first]
    told = f"channel root keeps its order: it is the turn of job {first}, which is Running"
    assert blocking(instance, second)[0] == (Cause.NO_ROOM, told)
    instance.end_lease(first)
    assert Cause.NO_ROOM not in [cause for cause, _ in blocking(instance, first)]
    assert blocking(instance, second)[0] == (Cause.NO_ROOM, told)


def test_why_names_the_key_for_which_the_order_is_kept(instance: Instance) -> None:
    limit(instance, "root.a", sequential="target")
    first, same, other = (instance.act(FAIL, channel="root.a", channel_key=key) for key in "778")
    instance.query(
        "UPDATE jobcron_job SET scheduled_start = :then WHERE id <> :id",
        id=first,
        then="2199-01-01 00:00:00.000000",
    )
    instance.run("act")
    told = f"channel root.a keeps its order for the key '7': it is the turn of job {first}, which is Failed"
    assert (Cause.NO_ROOM, told) in blocking(instance, same)
    assert Cause.NO_ROOM not in [cause for cause, _ in blocking(instance, other)]


def test_why_names_the_job_of_another_type_that_comes_first(instance: Instance) -> None:
    limit(instance, "root", sequential="channel")
    first = instance.act(channel="root.a")
    with instance.session() as session:
        second = DoFooJob.create(instance.foo(session), session=session, channel="root.b").job.id
    told = f"channel root keeps its order: job {first} (foo_job.ACT) comes first"
    assert (Cause.NO_ROOM, told) in blocking(instance, second)
    assert blocking(instance, first) == []
    instance.command("run", "do_foo")
    out, _ = instance.command("why", "--section", "do_foo", expect=1)
    assert told in out
    assert f"jobcron why {first}" in out
    limit(instance, "root", sequential="target")
    assert blocking(instance, second) == []


def test_a_section_all_of_whose_jobs_are_held_up_by_channels_does_not_run(instance: Instance) -> None:
    limit(instance, "root.a", sequential="channel")
    limit(instance, "root.b", capacity=0)
    failing, _, _ = (
        instance.act(*do, channel=name) for do, name in (([FAIL], "root.a"), ([], "root.a"), ([], "root.b"))
    )
    instance.command("run", "act")
    out, _ = instance.command("why", "--section", "act", expect=1)
    assert f"channel root.a keeps its order: it is the turn of job {failing}, which is Failed" in out
    assert "channel root.b is full: 0 of 0 jobs run" in out
    instance.act()
    out, _ = instance.command("why", "--section", "act")
    assert "keeps its order" not in out


def test_many_jobs_whose_turn_it_is_are_not_all_named(instance: Instance) -> None:
    jobs = [instance.act(FAIL, channel="root.a") for _ in range(8)]
    instance.run("act")
    limit(instance, "root.a", sequential="channel")
    instance.query("UPDATE jobcron_channel SET passed_at = :then", then="2000-01-01 00:00:00.000000")
    with instance.database.begin(writing=False) as connection:
        (found,) = in_the_way(connection, "root.a", "")
        (state,) = channel_states(connection)
    assert found.text.endswith(f"job {jobs[4]}, which is Failed and 3 more")
    assert state.turns == tuple(jobs)
    assert state.is_full


def test_what_a_channel_passes_over_is_an_act_and_the_job_can_run_later(instance: Instance) -> None:
    limit(instance, "root.a", sequential="channel")
    failing, waiting = instance.act(FAIL, channel="root.a"), instance.act(channel="root.a")
    instance.run("act")
    with instance.database.begin() as connection:
        assert pass_over(connection, "root.a", "ada") == (failing,)
        (act,) = recent_acts(connection)
    assert (act.name, act.actor) == (f"skip in channel root.a: job {failing}", "ada")
    assert act.instead == "retry what was passed over, or set it to done, instead"
    assert take_all(instance) == [waiting]
    with instance.database.begin() as connection:
        assert pass_over(connection, "root.a", "ada") == (waiting,)
    instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=waiting)
    instance.query("UPDATE jobcron_job SET status = 0, date_finished = NULL WHERE id = :id", id=failing)
    later = instance.act(channel="root.a", priority=1)
    assert take(instance) == [later]
    assert SOMEBODY.name in str(instance.row(later).claimed_by)
