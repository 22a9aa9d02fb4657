"""`doctor` finds locks of sections that were left behind, and hosts that do not agree on them (LP-32)."""

from __future__ import annotations

import re

import pytest

from examining import found
from hosts import hold_elsewhere
from instances import SECTIONS, Instance

KEY = "source_interface: fooapp.IActJobSource\n"


def texts(instance: Instance) -> list[str]:
    """Return what the examination says of locks."""
    return [finding.text for finding in found(instance) if finding.check == "locks"]


def configure(instance: Instance) -> None:
    """Let the section [act] be alone on all hosts."""
    assert KEY in SECTIONS
    instance.configure(sections=SECTIONS.replace(KEY, f"{KEY}lock: cluster\n"))


@pytest.mark.feature("LP-32")
def test_a_lock_that_nobody_takes_is_found(well: Instance) -> None:
    configure(well)
    hold_elsewhere(well)
    assert texts(well) == []
    well.query("DELETE FROM jobcron_lock")
    hold_elsewhere(well, ago=900)
    (text,) = texts(well)
    assert re.match(
        r"section act: its lock was left behind 1\d min( \d+ s)? ago by process 4711 on far since ", text
    )


@pytest.mark.feature("LP-32")
def test_a_host_whose_configuration_knows_nothing_of_the_lock_is_found(well: Instance) -> None:
    hold_elsewhere(well)
    (text,) = texts(well)
    assert text.startswith(
        "section act has lock: host here, and its lock in the database is held by process 4711 on"
    )
