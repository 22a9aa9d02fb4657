"""The lines of a crontab, one by one."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron import load_settings
from jobcron.operations.processes.crontab import command_path, line, line_of, runs_of

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
schedule: */5 * * * *

[do_foo]
source_interface: fooapp.IDoFooJobSource
crontab_group: EVERY
schedule: 3 * * * *
"""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@on_sqlite
def test_the_line_of_a_section_is_the_one_that_runs_it_or_its_group(instance: Instance) -> None:
    instance.configure(sections=SECTIONS)
    settings = load_settings(str(instance.path))
    runs = [line(settings, schedule, words) for schedule, words in runs_of(settings)]
    own, group = (line_of(settings, settings.section(name)) for name in ("act", "do_foo"))
    assert {own, group} < set(runs)
    command = " ".join(command_path())
    assert own.startswith(f"*/5 * * * *  {command} run act -q -q --log-file=INFO:")
    assert group.startswith(f"3 * * * *  {command} process-job-sources EVERY ")
