"""``jobcron check-runs``: for monitoring systems."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from force import write_by_force
from health_checks import SECTIONS, monitored
from instances import Instance, run_jobcron

DIGITS = re.compile("[0-9]")

HEALTH = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]

LONG_AGO = "2020-01-01 00:00:00.000000"


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_that_cannot_be_read_is_unknown_and_no_warning(watched: Instance) -> None:
    job = watched.act(("write", "x"))
    write_by_force(watched, job, scheduled_start="'0garbage'")
    assert monitored(watched, 3, "act").startswith("JOBCRON UNKNOWN - a row cannot be read: ")


@pytest.mark.feature("LP-27", "LP-29")
def test_what_cannot_be_known_is_unknown_and_says_why(watched: Instance) -> None:
    assert "expected a section [nonsense], found none" in monitored(watched, 3, "nonsense")
    url = "postgresql://nobody:s3cr3t-c4nary@127.0.0.1:1/x"
    out, _ = watched.command("check-runs", expect=3, extra_env={"JOBCRON_DATABASE_URL": url})
    assert out.startswith("JOBCRON UNKNOWN - JOBCRON_DATABASE_URL: cannot connect")
    assert "c4nary" not in out


@pytest.mark.parametrize(
    ("command", "no_file", "no_tables"), [("check-runs", 3, 3), ("jobs", 1, 1), ("doctor", 3, 2)]
)
def test_before_the_first_upgrade_it_is_named_as_the_next_step(
    tmp_path: Path, command: str, no_file: int, no_tables: int
) -> None:
    instance = tmp_path / "instance"
    run_jobcron("init", str(instance))
    assert "`jobcron upgrade` makes it" in "".join(run_jobcron("--config", str(instance), command, expect=no_file))
    (instance / "var").mkdir(mode=0o700)
    told = "".join(run_jobcron("--config", str(instance), command, expect=no_tables))
    assert "found none: run `jobcron upgrade`" in told
    assert not (instance / "var/jobs.db").exists()


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("value", ["1h", "2h 1h", "soon later", "1 2 3"])
def test_limits_that_make_no_sense_are_refused(instance: Instance, value: str) -> None:
    instance.configure(sections=SECTIONS.format(act=f"alert_waiting: {value}"))
    out = monitored(instance, 3)
    assert "section [act], key alert_waiting: expected" in out


@pytest.mark.feature("LP-27")
def test_for_programs_it_says_the_same_as_json(watched: Instance) -> None:
    watched.act(("write", "x"))
    job = watched.act(("write", "y"))
    watched.query("UPDATE jobcron_job SET scheduled_start = :then WHERE id = :id", id=job, then=LONG_AGO)
    for expect, names in ((2, ("act",)), (0, ("do_foo",)), (2, ()), (3, ("nonsense",))):
        first, *lines = monitored(watched, expect, *names).splitlines()
        found = json.loads(monitored(watched, expect, *names, "--json"))
        assert list(found) == ["health", "summary", "found"]
        assert found["health"] == HEALTH[expect]
        assert all(list(one) == ["name", "health", "checks"] for one in found["found"])
        assert [one["name"] for one in found["found"]] == [line[9:].split(": ")[0] for line in lines]
        for one, line in zip(found["found"], lines, strict=True):
            assert one["health"] == line[:8].strip()
            assert one["health"] == max((check["health"] for check in one["checks"]), key=HEALTH.index)
            texts = "; ".join(check["text"] for check in one["checks"])
            assert DIGITS.sub("", line).endswith(DIGITS.sub("", texts))  # a second may have passed
        summary = "; ".join(found["summary"])
        assert DIGITS.sub("", first) == DIGITS.sub("", f"JOBCRON {HEALTH[expect]} - {summary}")
