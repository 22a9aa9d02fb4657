"""Compiled settings: used where they are right, never stale or poisoned."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from configurations import GOOD, Write, refusal
from jobcron.settings._compiled import COMPILED_NAME
from jobcron.settings.instance import load_settings


def poison(path: Path, prefix: str = "POISON") -> Path:
    """Change the compiled settings, and return their file."""
    kept = path.parent / "state" / COMPILED_NAME
    content = json.loads(kept.read_text())
    content["settings"]["oops_prefix"] = prefix
    kept.write_text(json.dumps(content))
    return kept


@pytest.mark.feature("LP-29")
def test_compiled_settings_are_used_and_equal_those_that_are_read(compiled: Path) -> None:
    first = load_settings(str(compiled))
    (compiled.parent / "state" / COMPILED_NAME).unlink()
    assert load_settings(str(compiled)) == first
    poison(compiled)  # by the owner: shows that it is this file that is used
    assert load_settings(str(compiled)).oops_prefix == "POISON"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("extended", [False, True])
def test_an_edit_is_seen_even_with_the_same_size_and_time(write: Write, compiled: Path, extended: bool) -> None:
    path = compiled
    if extended:
        write(path.read_text(), "base.conf")
        write("[meta]\nextends: base.conf\n[jobcron]\nstate_dir: state\n")
        assert load_settings(str(path)).oops_prefix == "A"
        path = path.parent / "base.conf"
    before = path.stat()
    path.write_text(path.read_text().replace("oops_prefix: A", "oops_prefix: B"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert load_settings(str(compiled)).oops_prefix == "B"
    assert load_settings(str(compiled)).oops_prefix == "B"


@pytest.mark.feature("LP-29")
def test_an_edit_that_breaks_the_configuration_is_not_hidden(write: Write, compiled: Path) -> None:
    write(GOOD + "nonsense: 1\n")
    assert "nonsense" in refusal(compiled)
    compiled.unlink()
    assert "is not there" in refusal(compiled.parent)


@pytest.mark.feature("LP-29")
def test_an_extended_file_that_goes_away_is_missed(write: Write, compiled: Path) -> None:
    base = write(compiled.read_text(), "base.conf")
    write("[meta]\nextends: base.conf\n[jobcron]\nstate_dir: state\n")
    load_settings(str(compiled))
    base.unlink()
    assert "base.conf: cannot be read" in refusal(compiled)


@pytest.mark.feature("LP-29")
def test_what_another_version_compiled_is_not_used(compiled: Path) -> None:
    kept = poison(compiled)
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "version": "0.0.0"}))
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_another_state_directory_brings_no_old_settings_along(write: Write, compiled: Path) -> None:
    kept = poison(compiled)
    other = compiled.parent / "other"
    other.mkdir(mode=0o700)
    shutil.copy2(kept, other / COMPILED_NAME)
    write(compiled.read_text().replace("state_dir: state", "state_dir: other"))
    found = load_settings(str(compiled))
    assert (found.oops_prefix, found.state_dir) == ("A", str(other))


@pytest.mark.feature("LP-29")
def test_settings_compiled_for_another_instance_are_not_used(write: Write, compiled: Path) -> None:
    poison(compiled)
    text = compiled.read_text().replace("dir: state", "dir: ../state").replace("///", "///../")
    twin = write(text, "twin/jobcron.conf")
    found = load_settings(str(twin))
    assert (found.oops_prefix, found.path) == ("A", str(twin))


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o620, 0o602])
def test_a_compiled_file_that_others_may_touch_is_not_used(compiled: Path, mode: int) -> None:
    poison(compiled).chmod(mode)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whole_directory", [False, True])
def test_a_compiled_file_of_somebody_else_is_not_used(compiled: Path, whole_directory: bool) -> None:
    kept = poison(compiled)
    os.chown(kept.parent if whole_directory else kept, 12345, -1)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_a_symbolic_link_in_place_of_the_compiled_file_is_neither_read_nor_written_through(
    compiled: Path, tmp_path: Path
) -> None:
    kept = poison(compiled)
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert load_settings(str(compiled)).oops_prefix == "A"
    assert elsewhere.read_bytes() == before


@pytest.mark.feature("LP-29")
def test_a_state_directory_that_everybody_may_write_is_not_believed(compiled: Path) -> None:
    kept = poison(compiled)
    kept.parent.chmod(0o777)
    assert load_settings(str(compiled)).oops_prefix == "A"
    kept.unlink()
    assert load_settings(str(compiled)).oops_prefix == "A"
    assert not kept.exists()


NONSENSE = [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    '{"version": null}',
    "\0\0\0",
    "[" * 100_000,
    "1" * 10_000,
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {}}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": null}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {"sections": []}}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {"sections": {"a": {"b": 1}}}}',
    '{"version": "%(version)s", "texts": [], "settings": {}}',
]


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:40])
def test_nonsense_in_the_compiled_file_is_not_used(compiled: Path, text: str) -> None:
    kept = poison(compiled)
    content = json.loads(kept.read_text())
    values = {"version": content["version"], "texts": json.dumps(content["texts"])}
    kept.write_text(text % values if "%" in text else text)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_a_compiled_file_cut_off_anywhere_is_not_used(compiled: Path) -> None:
    kept = poison(compiled)
    whole = kept.read_bytes()
    for length in range(0, len(whole), 97):
        kept.write_bytes(whole[:length])
        assert load_settings(str(compiled)).oops_prefix == "A"
        kept.write_bytes(whole)
        kept.chmod(0o600)


@pytest.mark.feature("LP-29")
def test_without_a_state_directory_nothing_is_kept_and_nothing_is_made(write: Write) -> None:
    path = write()
    assert load_settings(str(path)).oops_prefix == "J"
    assert not (path.parent / "state").exists()
