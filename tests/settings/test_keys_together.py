"""The sections of schedules in a configuration: their keys, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobcron import ConfigurationError, load_settings
from jobcron.settings.keys_together import SKIP_GRACE
from jobcron.settings.settings import Schedule


def write(tmp_path: Path, keys: str, name: str = "nightly") -> str:
    """Write a configuration with one schedule."""
    path = tmp_path / "jobcron.conf"
    path.write_text(f"[jobcron]\ndatabase_url: sqlite:////x.db\nstate_dir: state\n[schedule:{name}]\n{keys}\n")
    return str(path)


def test_a_section_of_a_schedule_is_no_section_of_jobs(tmp_path: Path) -> None:
    keys = 'job: my.app.report\ncron: 30  2 * * mon-fri\ntime_zone: Europe/Berlin\narguments: {"copies": 2}'
    settings = load_settings(write(tmp_path, keys))
    assert settings.sections == {}
    assert settings.schedules == {
        "nightly": Schedule("nightly", "my.app.report", '{"copies": 2}', "30 2 * * mon-fri", None, "Europe/Berlin")
    }


def test_skip_has_a_grace_of_its_own(tmp_path: Path) -> None:
    found = load_settings(write(tmp_path, "job: a.b\nevery: 1h\nmissed: skip")).schedules["nightly"]
    assert (found.every, found.missed_grace) == (3600, SKIP_GRACE)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("cron: @daily", "section [schedule:nightly], key job: expected a job type, a class or a function"),
        ("job: a.b", "key cron: expected this key or the key every, got: neither"),
        ("job: a b\nevery: 1h", "key job: expected a job type, or the dotted name of a class or a function"),
        ("job: a.b\nevery: 90s\ncron: @daily", "key every: expected either this key or the key cron"),
        ("job: a.b\nevery: 30s", "key every: expected a time of whole seconds, at least 1m"),
        ("job: a.b\ncron: 0 0 30 2 *", "key cron: expected a day that the month has, got: 0 0 30 2 *"),
        ("job: a.b\ncron: 0 0 * *", "key cron: expected five fields"),
        ("job: a.b\ncron: 5L/2 * * * *", "key cron: expected"),
        ("job: a.b\nevery: 1h\narguments: [1]", "key arguments: expected a JSON object such as"),
        ("job: a.b\nevery: 1h\narguments: {a", "key arguments: expected a JSON object such as"),
        ("job: a.b\nevery: 1h\nenabled: maybe", "key enabled: expected true or false, got: maybe"),
        ("job: a.b\nevery: 1h\nbatch_size: 3", "section [schedule:nightly]: unknown key batch_size"),
        ("job: a.b\nevery: 1h\nmissed: all", "key missed: expected overlap: wait, or overlap: allow"),
    ],
)
def test_a_wrong_key_is_refused_with_its_place(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(write(tmp_path, keys))
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["", "a", "a b", "schedule:x", "../x", "1abc"])
def test_a_schedule_has_a_name_as_sections_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected schedule: and a name of 3 to 64 letters"):
        load_settings(write(tmp_path, "job: a.b\nevery: 1h", name))
