"""Warnings of a cron script become reports; where reports go is configured."""

from __future__ import annotations

import json
import re

import pytest

from alarmapp import SECTIONS, make, reports
from instances import Instance
from jobcron import JobStatus
from jobcron.reports.alarm import MAX_PER_PLACE


@pytest.mark.feature("LP-26")
def test_a_warning_becomes_a_report_and_its_id_is_logged(alarmed: Instance) -> None:
    (job,) = make(alarmed, "warn")
    _, err = alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    assert report["type"] == "LoggedWarning"
    assert report["value"] == "WARNING: only 3 left, password=***"
    assert report["req_vars"]["script_name"] == "jobcron run"
    assert report["reporter"] == "T-logging"
    assert f"INFO    {report['id']}\n" in err
    assert alarmed.row(job).status is JobStatus.COMPLETED
    assert alarmed.row(job).oops_id is None


@pytest.mark.feature("LP-26")
def test_a_logged_error_is_reported_with_its_traceback(alarmed: Instance) -> None:
    make(alarmed, "handle")
    alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    text = "\n".join(report["tb_text"])
    assert report["value"] == "ERROR: not found"
    assert "KeyError: 'the shelf'" in text
    assert "do_handle" in text


@pytest.mark.feature("LP-24", "LP-26")
def test_isolated_jobs_make_the_same_reports_and_the_same_log(alarmed: Instance) -> None:
    told = []
    for section in ("logging", "isolated"):
        before = set(alarmed.oopses())
        make(alarmed, "warn", "handle", "warn_while_handling", "opt_out", "inform", "warn_often", "fail")
        _, err = alarmed.command("run", section)
        mine = [json.loads(path.read_text()) for path in alarmed.oopses() if path not in before]
        assert all(report["id"] in err for report in mine)
        ids = "|".join(report["id"] for report in mine)
        log = [re.sub(ids, "OOPS", re.sub("ID [0-9]+", "ID", line))[20:] for line in err.splitlines()]
        told.append((sorted((report["type"], report["value"]) for report in mine), log))
        shown = ["\n".join(report["tb_text"]) for report in mine]
        assert sum("KeyError: 'the shelf'" in text and "do_handle" in text for text in shown) == 1
        assert sum("KeyError: 'the desk'" in text and "do_warn_while" in text for text in shown) == 1
    plain, isolated = told
    assert isolated == plain
    assert len(plain[0]) == 4 + MAX_PER_PLACE


@pytest.mark.feature("LP-26")
@pytest.mark.parametrize("section", ["logging", "isolated"])
def test_what_is_not_shown_is_reported_all_the_same(alarmed: Instance, section: str) -> None:
    make(alarmed, "warn")
    _, err = alarmed.command("run", section, "-q", "-q")
    assert err == ""
    assert [report["type"] for report in reports(alarmed)] == ["LoggedWarning"]


@pytest.mark.feature("LP-26")
def test_what_opts_out_and_what_is_no_warning_makes_no_report(alarmed: Instance) -> None:
    make(alarmed, "opt_out", "inform")
    _, err = alarmed.command("run", "logging")
    assert "WARNING known\n" in err
    assert "WARNING known as well\n" in err
    assert reports(alarmed) == []


@pytest.mark.feature("LP-26")
@pytest.mark.parametrize(("level", "count"), [("none", 0), ("error", 1), ("INFO", 3)])
def test_the_level_is_configured(alarmed: Instance, level: str, count: int) -> None:
    alarmed.configure(f"oops_level: {level}", SECTIONS)
    make(alarmed, "warn", "handle", "inform")
    alarmed.command("run", "logging")
    of_jobs = [r for r in reports(alarmed) if "Ran 3" not in r["value"]]
    assert len(of_jobs) == count


@pytest.mark.feature("LP-26")
def test_a_loop_of_warnings_does_not_fill_the_disk(alarmed: Instance) -> None:
    make(alarmed, "warn_often")
    _, err = alarmed.command("run", "logging")
    assert err.count("WARNING number") == 1000
    assert len(reports(alarmed)) == MAX_PER_PLACE


@pytest.mark.feature("LP-26")
def test_the_failure_of_a_job_is_one_report_and_not_two(alarmed: Instance) -> None:
    make(alarmed, "fail")
    alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    assert report["type"] == "ValueError"


@pytest.mark.feature("LP-26")
def test_mistakes_of_the_surroundings_are_told_and_make_no_report(alarmed: Instance) -> None:
    alarmed.command("run", "nonsense", expect=2)
    alarmed.command(
        "run", "logging", expect=1, extra_env={"JOBCRON_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    )
    assert reports(alarmed) == []
