"""Configuration that others may write is refused."""

from __future__ import annotations

import pytest

from configurations import GOOD, Write, refusal
from jobcron.settings.instance import load_settings


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(("mode", "refused"), [(0o666, True), (0o602, True), (0o660, False), (0o640, False)])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_file_that_everybody_may_write_is_refused(
    write: Write, mode: int, refused: bool, compiled: bool
) -> None:
    path = write()
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    path.chmod(mode)
    if refused:
        message = refusal(path)
        assert str(path) in message
        assert "chmod o-w" in message
    else:
        assert load_settings(str(path)).oops_prefix == "J"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o770, False)])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_directory_that_everybody_may_write_is_refused(
    write: Write, mode: int, refused: bool, compiled: bool
) -> None:
    path = write()
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    path.parent.chmod(mode)
    if refused:
        message = refusal(path)
        assert str(path.parent) in message
        assert "chmod o-w" in message
    else:
        assert load_settings(str(path)).oops_prefix == "J"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("compiled", [False, True])
def test_an_extended_file_that_everybody_may_write_is_refused(write: Write, compiled: bool) -> None:
    base = write(GOOD, "sub/base.conf")
    path = write("[meta]\nextends: sub/base.conf\n[jobcron]\nstate_dir: state\n")
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    base.chmod(0o666)
    assert str(base) in refusal(path)
    base.chmod(0o600)
    base.parent.chmod(0o777)
    assert str(base.parent) in refusal(path)
