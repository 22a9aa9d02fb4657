"""What is said once in an interval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobcron.reports.reminders import Reminders


def test_a_text_is_due_once_in_an_interval_in_all_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "reminders")
    assert [Reminders(path, 600).is_due(text) for text in ("a", "a", "b", "a")] == [True, False, True, False]


def test_a_text_is_due_again_after_the_interval_and_then_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "reminders"
    assert Reminders(str(path), 600).is_due("a")
    path.write_text(json.dumps({name: when - 601 for name, when in json.loads(path.read_text()).items()}))
    assert Reminders(str(path), 600).is_due("b")
    assert json.loads(path.read_text()).keys() == {"b"}
    assert Reminders(str(path), 600).is_due("a")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": "soon"}', '{"a": 1e99}', "[" * 10_000])
def test_without_a_file_that_can_be_read_all_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reminders"
    path.write_text(content)
    assert Reminders(str(path), 600).is_due("a")


def test_without_a_file_that_can_be_written_all_is_said_each_time(tmp_path: Path) -> None:
    for path in (None, str(tmp_path / "absent" / "reminders")):
        reminders = Reminders(path, 600)
        assert (reminders.is_due("a"), reminders.is_due("a")) == (True, True)
