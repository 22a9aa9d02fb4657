"""``jobcron systemd``: units that systemd accepts, due when cron's lines are."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from instances import Instance
from jobcron.commands._systemd import calendar_times, quoted
from jobcron.settings.cron import check_schedule, local_times

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SECTIONS = """
[act]
source_interface: fooapp.ActJob
schedule: */5 8-17 * * mon-fri
[nightly]
source_interface: fooapp.DoFooJob
schedule: 30 2 1,15 * sun
[one_of]
source_interface: fooapp.TellingJob
crontab_group: MAIN
[at_boot]
source_interface: fooapp.TellingJob
schedule: @reboot
"""


def due(expression: str, after: str, count: int) -> list[datetime]:
    """Return when systemd says that calendar times are due."""
    command = ["systemd-analyze", "calendar", f"--iterations={count}", f"--base-time={after} UTC"]
    said = subprocess.run(
        [*command, f"{expression} UTC"], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
    ).stdout
    lines = [line.partition(": ")[2].strip() for line in said.splitlines() if "elapse" in line or "Iter" in line]
    return [datetime.strptime(line, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC) for line in lines]


@on_sqlite
def test_systemd_accepts_the_units(instance: Instance, tmp_path: Path) -> None:
    instance.configure(sections=SECTIONS)
    units = tmp_path / "units"
    units.mkdir()
    out, _ = instance.command("systemd", "--user", "root", "--time-zone", "Europe/Berlin", "--to", str(units))
    assert "systemctl enable --now jobcron-instance-process-job-sources-MAIN.timer" in out
    names = sorted(path.name for path in units.iterdir())
    assert [name for name in names if name.endswith(".timer")] == [
        "jobcron-instance-act.timer",
        "jobcron-instance-at_boot.timer",
        "jobcron-instance-nightly.timer",
        "jobcron-instance-process-job-sources-MAIN.timer",
        "jobcron-instance-prune.timer",
    ]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(units) in line]) == (0, [])


@on_sqlite
def test_a_service_says_who_runs_it_and_where_it_may_write(instance: Instance) -> None:
    instance.configure(sections=SECTIONS)
    out, _ = instance.command("systemd", "--user", "shop", "--write-path", "/srv/shop/files")
    assert "\nUser=shop\n" in out
    assert f"\nEnvironment=JOBCRON_CONFIG={instance.path}\n" in out
    assert f"ReadWritePaths=-{instance.state} " in out
    assert " -/srv/shop/files\n" in out
    assert "\nProtectSystem=strict\n" in out
    assert "\nTimeoutStopSec=60\n" in out
    assert "\nOnBootSec=1s\n" in out


@on_sqlite
def test_a_wrong_option_is_refused(instance: Instance) -> None:
    _, err = instance.command("systemd", "--user", "a b", expect=2)
    assert "--user: expected the name of a user, got: 'a b'" in err
    _, err = instance.command("systemd", "--time-zone", "Mars/Base", expect=2)
    assert "--time-zone: expected a name such as Europe/Berlin, got: 'Mars/Base'" in err
    _, err = instance.command("systemd", "--to", "/nowhere", expect=2)
    assert "--to: cannot write jobcron-instance-" in err


def test_a_word_is_quoted_as_systemd_reads_it() -> None:
    assert quoted("/srv/shop") == "/srv/shop"
    assert quoted("/srv/100% of it") == '"/srv/100%% of it"'
    assert quoted('a"b\\') == '"a\\"b\\\\"'


def test_timers_are_due_when_cron_would_be() -> None:
    chosen = random.Random(7)
    fields = (
        ("*", "0", "*/7", "5,50", "10-20/5"),
        ("*", "3", "9-17", "*/5"),
        ("*", "1", "*/10", "28-31"),
        ("*", "2", "jan,JUL", "*/3"),
        ("*", "mon-fri", "0", "7", "sat,sun"),
    )
    schedules = [" ".join(map(chosen.choice, fields)) for _ in range(40)] + ["@weekly", "0 0 13 * fri"]
    start = datetime(2026, 1, 31, 12, 3)
    for schedule in map(check_schedule, schedules):
        theirs: set[datetime] = set()
        for time in calendar_times(schedule):
            theirs |= set(due(time, "2026-01-31 12:03:00", 6))
        ours = [moment.replace(tzinfo=UTC) for moment in islice(local_times(schedule, start), 6)]
        assert sorted(theirs)[:6] == ours, schedule
