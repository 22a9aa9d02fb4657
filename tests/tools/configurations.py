"""Configurations for the tests of settings, and what the refusal of one says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobcron import ConfigurationError
from jobcron.settings.instance import load_settings

GOOD = "[jobcron]\ndatabase_url: sqlite:///foo.db\nstate_dir: state\n"


JOBS = "[do_foo]\nsource_interface: fooapp.IDoFooJobSource\n"


Write = Callable[..., Path]


def refusal(path: Path | str) -> str:
    """Return what is said of a configuration that is not read."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(path))
    assert type(caught.value) is ConfigurationError
    assert caught.value.exit_status == 2
    return str(caught.value)
