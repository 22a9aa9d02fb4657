"""The limits of channels: those of the configuration are stored, and what somebody has set since stays."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channel_jobs import limit
from instances import SECTIONS, Instance
from jobcron.errors import ConfigurationError
from jobcron.jobs.moves.channels import described, forget_changes, read_channels, set_limits, store_channels
from jobcron.settings.instance import load_settings

CHANNELS = (
    SECTIONS + "\n[channel:root]\ncapacity: 8\n\n[channel:root.export]\ncapacity: 2\nper_key: 1\nthrottle: 10/1m\n"
)


def store(instance: Instance, sections: str) -> None:
    """Configure these sections, and store their channels as a run does."""
    instance.configure(sections=sections)
    store_channels(instance.database, load_settings(str(instance.path)), logging.getLogger())


def limits(instance: Instance) -> dict[str, Any]:
    """Return what each channel allows, in words."""
    with instance.database.begin(writing=False) as connection:
        return {row.name: described(row) for row in read_channels(connection)}


def test_the_next_run_stores_what_the_configuration_says(instance: Instance) -> None:
    instance.run("act")
    instance.configure(sections=CHANNELS)
    log = instance.run("act")
    assert "The channel root.export: 2 at once, 1 at once for each key, 10 starts in 60 s." in log
    assert limits(instance) == {
        "root": "8 at once",
        "root.export": "2 at once, 1 at once for each key, 10 starts in 60 s",
    }
    assert "The channel" not in instance.run("act")


def test_what_somebody_has_set_stays_until_the_configuration_says_something_else(instance: Instance) -> None:
    store(instance, CHANNELS)
    limit(instance, "root.export", capacity=5)
    store(instance, CHANNELS)
    assert limits(instance)["root.export"] == "5 at once, 1 at once for each key, 10 starts in 60 s"
    store(instance, CHANNELS.replace("capacity: 2", "capacity: 3"))
    assert limits(instance)["root.export"] == "3 at once, 1 at once for each key, 10 starts in 60 s"


def test_what_was_changed_can_be_as_the_configuration_says_again(instance: Instance) -> None:
    store(instance, CHANNELS)
    limit(instance, "root.export", capacity=None, per_key=None)
    limit(instance, "root.mail", capacity=1)
    with instance.database.begin() as connection:
        found = forget_changes(connection, "root.export")
        assert found is not None
        assert described(found) == "2 at once, 1 at once for each key, 10 starts in 60 s"
        assert forget_changes(connection, "root.mail") is None
        with pytest.raises(ConfigurationError, match=r"expected a channel with limits, got: root\.mail"):
            forget_changes(connection, "root.mail")


def test_a_channel_that_the_configuration_has_no_more_has_no_limit(instance: Instance) -> None:
    store(instance, CHANNELS)
    limit(instance, "root.mail", capacity=1)
    store(instance, SECTIONS + "\n[channel:root]\ncapacity: 8\n")
    assert limits(instance) == {"root": "8 at once", "root.mail": "1 at once"}


def test_a_limit_that_a_release_without_it_has_left_is_taken_away(instance: Instance) -> None:
    store(instance, CHANNELS.replace("capacity: 8", "capacity: 8\nsequential: channel"))
    assert limits(instance)["root"] == "8 at once, one after the other"
    store(instance, CHANNELS)
    instance.query("UPDATE jobcron_channel SET sequential = 'channel' WHERE name = 'root'")  # as older code has it
    store(instance, CHANNELS)
    assert limits(instance)["root"] == "8 at once"


def test_two_configurations_that_differ_do_not_write_in_turns(instance: Instance) -> None:
    store(instance, CHANNELS)
    instance.query("UPDATE jobcron_channel SET origin = 'the configuration other'")
    store(instance, CHANNELS.replace("capacity: 2", "capacity: 9"))
    assert limits(instance)["root.export"] == "2 at once, 1 at once for each key, 10 starts in 60 s"


@pytest.mark.parametrize("given", ["10", "0/1m", "10/", "10/0s", "x/1m", "10/soon"])
def test_a_throttle_that_says_nothing_is_refused(instance: Instance, given: str) -> None:
    instance.configure(sections=f"{SECTIONS}\n[channel:root]\nthrottle: {given}\n")
    with pytest.raises(ConfigurationError, match=r"section \[channel:root\], key throttle: expected a .*, got: "):
        load_settings(str(instance.path))


@pytest.mark.parametrize("name", ["export", "root.", "root..a", "root.a b"])
def test_a_section_of_no_channel_is_refused_with_its_line(instance: Instance, name: str) -> None:
    instance.configure(sections=f"{SECTIONS}\n[channel:{name}]\ncapacity: 1\n")
    with pytest.raises(ConfigurationError, match=r"line \d+: expected channel: and the name of a channel"):
        load_settings(str(instance.path))


def test_no_limit_is_in_words_as_well(instance: Instance) -> None:
    with instance.database.begin() as connection:
        row = set_limits(connection, "root", "me", {"capacity": None})
    assert (row.changed_by, described(row)) == ("me", "no limit")
