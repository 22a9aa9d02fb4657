"""Files of ours are written whole or not at all, for this user alone, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobcron.settings.directories import read_own, user_named, write_whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file in an empty folder."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "file"


@pytest.mark.feature("LP-25")
def test_a_file_is_for_its_user_alone_and_nothing_else_is_left(path: Path) -> None:
    umask = os.umask(0)
    try:
        write_whole(path, b"content")
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(("replaces", "kept"), [(True, b"new"), (False, b"old")])
def test_a_file_that_exists_is_replaced_or_left_as_it_is(path: Path, replaces: bool, kept: bytes) -> None:
    path.write_bytes(b"old")
    write_whole(path, b"new", replaces=replaces)
    assert path.read_bytes() == kept
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("replaces", [True, False])
def test_nothing_is_written_through_a_link(path: Path, tmp_path: Path, replaces: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    path.symlink_to(elsewhere)
    write_whole(path, b"ours", replaces=replaces)
    assert elsewhere.read_bytes() == b"theirs"


@pytest.mark.feature("LP-25", "LP-33")
@pytest.mark.parametrize("call", ["fchmod", "fsync", "rename", "link"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_write_that_fails_leaves_what_there_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, exists: bool
) -> None:
    if exists:
        path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new", replaces=call != "link")
    assert [each.read_bytes() for each in path.parent.iterdir()] == [b"old"] * exists


@pytest.mark.feature("LP-33")
def test_mode_and_time_of_a_file_can_be_said(path: Path) -> None:
    write_whole(path, b"", mode=0o644, modified=86400.0, is_synced=False)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.stat().st_mtime == 86400.0


@pytest.mark.feature("LP-25")
def test_a_long_name_is_no_hindrance(path: Path) -> None:
    longest = path.with_name("é" * 127)
    write_whole(longest, b"content")
    assert longest.read_bytes() == b"content"


@pytest.mark.feature("LP-29")
def test_only_a_file_of_ones_own_is_read(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"content")
    found = read_own(path, 3)
    assert found is not None
    assert (found[0], found[1].st_size) == (b"con", 7)
    os.mkfifo(pipe := tmp_path / "pipe")
    assert read_own(pipe) is None
    (link := tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic link"):
        read_own(link)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
        assert read_own(path) is None


def test_a_user_is_named_as_people_know_the_user() -> None:
    assert user_named(0) == "root"
    assert user_named(3_999_999_999) == "with the number 3999999999"
