"""A queue or a channel that nobody knows is told with the one that may be meant."""

from __future__ import annotations

import pytest

from channel_jobs import limit
from instances import Instance
from jobcron.jobs.moves.pauses import Scope
from jobcron.operations.processes.named import unknown_name
from jobcron.settings.instance import load_settings
from operating import Operator

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
channel: root.export.eu

[letters]
queue: letters

[channel:root.mail]
capacity: 1
"""


def told(instance: Instance, scope: Scope, name: str) -> str | None:
    """Return what is said of a name."""
    with instance.database.begin(writing=False) as connection:
        return unknown_name(connection, load_settings(str(instance.path)), scope, name)


def test_what_configuration_limits_and_jobs_name_is_known(instance: Instance) -> None:
    instance.configure(sections=SECTIONS)
    instance.act(channel="root.own")
    instance.act(queue_name="night")
    limit(instance, "root.set.by.hand", capacity=1)
    for name in (
        "root",
        "root.export",
        "root.export.eu",
        "root.export.eu.de",
        "root.mail",
        "root.own",
        "root.set",
    ):
        assert told(instance, Scope.CHANNEL, name) is None, name
    for name in ("letters", "night"):
        assert told(instance, Scope.QUEUE, name) is None, name
    assert told(instance, Scope.SECTION, "act") is None


@pytest.mark.parametrize(
    ("scope", "name", "meant"),
    [
        (Scope.CHANNEL, "root.exprt.eu", "root.export.eu"),
        (Scope.CHANNEL, "root.mial", "root.mail"),
        (Scope.QUEUE, "leters", "letters"),
    ],
)
def test_what_nobody_names_is_told_with_what_is_meant(
    instance: Instance, scope: Scope, name: str, meant: str
) -> None:
    instance.configure(sections=SECTIONS)
    said = told(instance, scope, name)
    assert said is not None
    assert f" names the {scope} {name}; did you mean {meant}?" in said


def test_a_pause_of_what_nobody_names_lasts_and_warns(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = Operator(instance, capsys)
    instance.configure(sections=SECTIONS)
    said = operator("pause", "--channel", "root.mial")
    assert "channel root.mial is paused by " in said
    assert (
        "warning: no section, class or job that waits or runs, or limit, names the channel root.mial; did you"
        in said
    )
    assert "warning" not in operator("pause", "--channel", "root.mail")
    assert "names the queue nigth" in operator.json("pause", "--queue", "nigth")["warning"]
