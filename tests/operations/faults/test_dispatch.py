"""`doctor` finds offers that nobody takes, and dispatchers that do not answer (LP-32)."""

from __future__ import annotations

import pytest

import dispatchapp
from examining import found
from instances import SECTIONS, Instance
from jobcron import load_settings
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.operations.faults import dispatch


@pytest.fixture
def dispatched(well: Instance) -> Instance:
    """Return a healthy instance, whose section [act] has a dispatcher."""
    key = "source_interface: fooapp.IActJobSource\n"
    path = well.path / "jobcron.conf"
    assert key in SECTIONS
    path.write_text(path.read_text().replace(key, f"{key}dispatch: dispatchapp:Noting\n"))
    return well


def texts(instance: Instance) -> list[str]:
    """Return what the examination says of dispatchers."""
    return [finding.text for finding in found(instance) if finding.check == "dispatch"]


@pytest.mark.feature("LP-32")
def test_offers_that_are_old_and_not_taken_are_found(
    dispatched: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBCRON_CONFIG", str(dispatched.path))
    dispatched.act()
    dispatched.act()
    assert texts(dispatched) == []
    monkeypatch.setattr(dispatch, "UNTAKEN_SECONDS", 0.0)
    (text,) = texts(dispatched)
    assert text.startswith("section act: 2 jobs offered to dispatchapp:Noting, the oldest ")
    assert text.endswith(" ago, not taken")
    dispatched.run("act")
    assert texts(dispatched) == []
    dispatchapp.offered.clear()


def test_a_dispatcher_that_does_not_answer_or_cannot_be_made_is_found(
    dispatched: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object) -> str:
        raise ConnectionRefusedError("no broker")

    assert Dispatchers(load_settings(str(dispatched.path)))
    monkeypatch.setattr(dispatchapp.Noting, "status", fails)
    assert texts(dispatched) == [
        "section act: dispatchapp:Noting does not answer: ConnectionRefusedError: no broker"
    ]
    path = dispatched.path / "jobcron.conf"
    path.write_text(path.read_text().replace("dispatchapp:Noting", "celery"))
    (text,) = texts(dispatched)
    assert "expected the key celery_broker_url in [jobcron], or JOBCRON_CELERY_BROKER_URL, for celery" in text
