"""The lines of a crontab, one by one."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron import load_settings
from jobcron.operations.processes.crontab import command_path, instance_line, line, line_of, runs_of
from jobcron.operations.reasons import Cause
from jobcron.operations.why import explain_section

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


def test_a_section_that_does_not_tick_says_with_which_line_cron_would_run_it(instance: Instance) -> None:
    instance.configure(sections=SECTIONS)
    settings = load_settings(str(instance.path))
    variable = next(line for line in instance.command("crontab")[0].splitlines() if line[0] != "#")
    for name in ("act", "do_foo"):
        section = settings.section(name)
        with instance.database.begin(writing=False) as connection:
            reason = explain_section(connection, settings, section).reasons[0]
        assert reason.cause is Cause.NEVER_RUN
        assert variable == instance_line(settings) == f"JOBCRON_CONFIG={instance.path}"
        assert str(reason.remedy).endswith(f"; below {variable}: {line_of(settings, section)}")
