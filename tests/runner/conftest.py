"""Fixtures of the tests of runners: instances whose keepers look often."""

from __future__ import annotations

import pytest

import shortleaseapp
from instances import Instance
from jobcron.runner import _keeper
from runner_processes import configure


@pytest.fixture
def quick_keeper(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose keepers look often, in this process and in others."""
    monkeypatch.setattr(_keeper, "POLL_SECONDS", shortleaseapp.POLL_SECONDS)
    monkeypatch.setattr(_keeper, "GIVE_BACK_SECONDS", shortleaseapp.GIVE_BACK_SECONDS)
    configure(instance, quick_keeper=True)
    return instance


@pytest.fixture
def short_grace(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose keepers look often, and whose jobs must end soon when asked to."""
    monkeypatch.setattr(_keeper, "POLL_SECONDS", shortleaseapp.POLL_SECONDS)
    monkeypatch.setattr(_keeper, "GIVE_BACK_SECONDS", shortleaseapp.GIVE_BACK_SECONDS)
    configure(instance, "grace_seconds: 0.2s", quick_keeper=True)
    return instance
