"""Warnings of a cron script become reports; where reports go is configured."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oops_datedir_repo import DateDirRepo, serializer

import alarmapp
from instances import Instance
from jobcron import JobStatus
from jobcron.reports import bson
from jobcron.reports.alarm import MAX_PER_PLACE

SECTIONS = """
[logging]
source_interface: alarmapp.LoggingJob

[isolated]
source_interface: alarmapp.LoggingJob
runner_class: ProcessJobRunner
"""


@pytest.fixture
def alarmed(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs log."""
    monkeypatch.setenv("ALARM_FILE", str(tmp_path / "published"))
    instance.configure(sections=SECTIONS)
    return instance


def make(instance: Instance, *kinds: str) -> list[int]:
    """Commit jobs."""
    with instance.session() as session:
        return [alarmapp.LoggingJob.create(kind=kind, session=session).id for kind in kinds]


def reports(instance: Instance) -> list[dict[str, Any]]:
    """Return what the reports say."""
    return [json.loads(path.read_text()) for path in instance.oopses()]


@pytest.mark.feature("LP-26")
def test_a_warning_becomes_a_report_and_its_id_is_logged(alarmed: Instance) -> None:
    (job,) = make(alarmed, "warn")
    _, err = alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    assert report["type"] == "LoggedWarning"
    assert report["value"] == "WARNING: only 3 left, password=***"
    assert report["req_vars"] == {"script_name": "jobcron run"}
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


@pytest.mark.feature("LP-25")
def test_every_publisher_that_is_named_gets_the_report(alarmed: Instance, tmp_path: Path) -> None:
    alarmed.configure("oops_publishers: files alarmapp:publish", SECTIONS)
    (job,) = make(alarmed, "fail")
    alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    assert (tmp_path / "published").read_text() == f"{report['id']} ValueError\n"
    assert alarmed.row(job).oops_id == report["id"]


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("names", ["alarmapp:refuse files", "files alarmapp:refuse"])
def test_a_publisher_that_fails_is_told_and_costs_no_report(alarmed: Instance, names: str) -> None:
    alarmed.configure(f"oops_publishers: {names}", SECTIONS)
    make(alarmed, "fail")
    _, err = alarmed.command("run", "logging")
    (report,) = reports(alarmed)
    assert f"ERROR   The OOPS {report['id']} was not published by alarmapp:refuse: OSError: no service" in err


@pytest.mark.feature("LP-25")
def test_where_every_publisher_fails_the_report_is_in_the_history(alarmed: Instance) -> None:
    alarmed.configure("oops_publishers: alarmapp:refuse", SECTIONS)
    (job,) = make(alarmed, "fail")
    _, err = alarmed.command("run", "logging")
    assert "could not be published (OSError: no service)" in err
    ((detail,),) = alarmed.query("SELECT detail FROM jobcron_event WHERE job = :job", job=job)
    assert "do_fail" in detail


@pytest.mark.feature("LP-25")
def test_python_oops_own_tools_read_what_datedir_publishes(alarmed: Instance) -> None:
    alarmed.configure("oops_publishers: datedir", SECTIONS)
    (job,) = make(alarmed, "fail")
    alarmed.command("run", "logging")
    (path,) = alarmed.oopses()
    assert path.name == alarmed.row(job).oops_id
    with path.open("rb") as file:
        report = serializer.read(file)
    found: list[dict[str, Any]] = []
    DateDirRepo(str(path.parent.parent)).republish(found.append)
    assert found == [report]
    assert (report["id"], report["type"], report["value"]) == (alarmed.row(job).oops_id, "ValueError", "failed")
    assert report["req_vars"]["job_id"] == job
    assert "do_fail" in report["tb_text"]


@pytest.mark.feature("LP-25", "LP-31")
def test_a_report_of_datedir_is_shown_by_its_id_and_kept_as_long_as_a_job_names_it(alarmed: Instance) -> None:
    alarmed.configure("oops_publishers: datedir", SECTIONS)
    kept, gone = make(alarmed, "fail", "fail")
    alarmed.run("logging")
    oops_id = alarmed.row(kept).oops_id
    out, _ = alarmed.command("oops", str(oops_id))
    assert out.startswith(f"{oops_id}\nValueError: failed\n\nwhen      20")
    assert "reporter  T-logging" in out
    assert f"job_id         {kept}" in out
    assert "do_fail" in out
    out, _ = alarmed.command("oops")
    assert sorted(line.split()[1] for line in out.splitlines()) == [path.name for path in alarmed.oopses()]
    (day,) = (alarmed.state / "oops").iterdir()
    day.rename(day.with_name("2020-01-01"))
    alarmed.query("UPDATE jobcron_job SET oops_id = NULL WHERE id = :id", id=gone)
    alarmed.command("prune")
    assert [path.name for path in alarmed.oopses()] == [oops_id]


@pytest.mark.feature("LP-25")
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(st.characters())
        | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
        max_leaves=10,
    )
)
def test_whatever_a_job_tells_fits_in_a_report_of_datedir(value: Any) -> None:
    told = bson.decode(bson.encode({"time": datetime.now(UTC), "req_vars": {"told": value}}))
    assert told["time"].startswith("20")
    assert "told" in told["req_vars"]


@pytest.mark.feature("LP-25", "LP-29")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("nowhere:publish", "expected the module nowhere to be importable"),
        ("alarmapp:nothing", "expected nothing in alarmapp to be a callable, found no such name"),
        ("files datedir", "expected files or datedir, not both"),
        ("sentry", "expected names of publishers: files, datedir, or module:callable, got: sentry"),
    ],
)
def test_a_publisher_that_is_not_there_is_a_mistake_of_the_configuration(
    alarmed: Instance, names: str, said: str
) -> None:
    alarmed.configure(f"oops_publishers: {names}", SECTIONS)
    make(alarmed, "inform")
    _, err = alarmed.command("run", "logging", expect=2)
    assert f"{alarmed.path / 'jobcron.conf'}: section [jobcron], key oops_publishers: {said}" in err
    out, _ = alarmed.command("check-config", expect=2)
    assert said in out
