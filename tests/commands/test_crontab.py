"""``jobcron crontab``: lines that cron runs as they are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from commands import as_cron, jobcron
from instances import Instance
from jobcron import JobStatus


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_crontab_says_what_it_leaves_out(instance: Instance) -> None:
    out, err = instance.command("crontab", extra_env={"JOBCRON_DATABASE_URL": "sqlite:////tmp/other.db"})
    assert "# MAILTO=you@example.com\n" in out
    assert "JOBCRON_DATABASE_URL is set here and not for cron" in err
    assert "other.db" not in out
    _, err = instance.command("crontab", "--mail-to", "a b", expect=2)
    assert "--mail-to: expected an address, got: 'a b'" in err
    instance.configure(more="failure_recipients: ops@example.com root\n")
    assert "\nMAILTO=ops@example.com,root\n" in instance.command("crontab")[0]
    assert "\nMAILTO=me\n" in instance.command("crontab", "--mail-to", "me")[0]
    instance.configure(sections="")
    _, err = instance.command("crontab", expect=2)
    assert "expected at least one section of jobs, found none" in err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_crontab_names_the_very_file_where_it_is_called_otherwise(instance: Instance, tmp_path: Path) -> None:
    other = instance.path / "night.conf"
    (instance.path / "jobcron.conf").rename(other)
    job = instance.act()
    out, _ = jobcron("--config", str(other), "crontab")
    assert f"JOBCRON_CONFIG={other}\n" in out
    assert [run.stderr for run in as_cron(out, tmp_path) if run.returncode] == []
    assert instance.row(job).status is JobStatus.COMPLETED


def test_a_percent_sign_reaches_the_shell_whether_cron_takes_the_backslash_away_or_not(tmp_path: Path) -> None:
    """Paul Vixie's own cron leaves the backslash to the shell, others take it away."""
    jobcron("init", "100% of it's", cwd=tmp_path)
    out, _ = jobcron("--config", str(tmp_path / "100% of it's"), "crontab")
    command = re.sub(r"^(\S+ +){5}", "", out.splitlines()[-2])
    assert not re.search(r"(?<!\\)%", command)
    expected = f"--log-file=INFO:{tmp_path}/100% of it's/var/log/greet.log"
    for seen in (command, command.replace(r"\%", "%")):
        assert shlex.split(seen)[-1] == expected


def test_crontab_can_say_that_nothing_is_to_be_mailed(tmp_path: Path) -> None:
    jobcron("init", "inst")
    out, _ = jobcron("--config", str(tmp_path / "inst"), "crontab", "--mail-to", "")
    assert '\nMAILTO=""\n' in out
