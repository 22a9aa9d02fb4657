"""Publishers of reports: files of the day, the history where there are none, and what is never followed."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alarmapp import SECTIONS, make, reports
from failing_jobs import details
from instances import Instance
from jobcron import JobStatus
from jobcron.reports._publishers import DateDirectory
from paths import JOBCRON


@pytest.mark.feature("LP-25")
def test_reports_are_in_a_folder_per_day_for_their_user_alone(instance: Instance) -> None:
    instance.act(("raise", "value"))
    before = datetime.now(UTC)
    old = os.umask(0)
    try:
        instance.run("act")
    finally:
        os.umask(old)
    (path,) = instance.oopses()
    days = {moment.strftime("%Y-%m-%d") for moment in (before, datetime.now(UTC))}
    assert path.parent.name in days
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing temporary is left
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


@pytest.mark.feature("LP-26")
def test_a_section_has_its_own_prefix_and_directory(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("raise", "value"))
    instance.configure(
        sections=f"[act]\nsource_interface: fooapp.IActJobSource\noops_prefix: OWN\nerror_dir: {tmp_path}/own\n"
    )
    instance.run("act")
    (path,) = (tmp_path / "own").glob("*/*")
    assert path.name == instance.row(job).oops_id
    assert path.name.startswith(f"OOPS-OWN{job}-1-")
    assert json.loads(path.read_text())["reporter"] == "OWN-act"
    assert instance.oopses() == []


@pytest.mark.feature("LP-25")
def test_a_report_survives_a_crash_of_the_machine_and_so_do_the_folders_that_it_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    publish = DateDirectory(tmp_path / "new" / "oops")
    publish({"id": "OOPS-1", "time": datetime(2026, 11, 25, tzinfo=UTC)})
    made = [str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "oops")]
    assert synced[:3] == made
    assert synced[-1] == f"{made[-1]}/2026-11-25"
    assert len(synced) == len(made) + 2  # the file


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("place", ["itself", "below", "day"])
def test_without_a_directory_the_report_is_in_the_history_and_on_standard_error(
    instance: Instance, tmp_path: Path, place: str
) -> None:
    blocked = tmp_path / "blocked"
    if place == "day":
        blocked.mkdir(mode=0o700)
        for days in (0, 1):
            (blocked / (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")).write_text("")
    else:
        blocked.write_text("a file")
    directory = blocked / "deeper" if place == "below" else blocked
    jobs = [instance.act(("write", "x"), ("chain", "")), instance.act(("write", "y"))]
    instance.configure(f"error_dir: {directory}\n")
    _, err = instance.command("run", "act")
    row = instance.row(jobs[0])
    assert row.status is JobStatus.FAILED
    assert instance.row(jobs[1]).status is JobStatus.COMPLETED
    assert row.oops_id is not None
    assert instance.events(jobs[0]) == ["failed"]
    (oops_id,) = instance.query("SELECT oops_id FROM jobcron_event WHERE job = :j", j=jobs[0])[0]
    assert oops_id == row.oops_id
    for text in (details(instance, jobs[0]), err):
        assert str(blocked) in text
        start = text.index('{"')
        report, _ = json.JSONDecoder().raw_decode(text[start:])
        assert report["id"] == row.oops_id
        assert (report["type"], report["value"]) == ("ValueError", "the consequence")
        assert "KeyError: 'the cause'" in "".join(report["tb_text"])
        assert report["req_vars"]["job_id"] == jobs[0]
        assert any("INSERT INTO ledger" in detail for *_, detail in report["timeline"])
    assert "Traceback (most recent call last)" not in err.split("could not be published")[0]


@pytest.mark.feature("LP-25")
def test_a_report_that_nothing_takes_is_in_the_history(instance: Instance, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    job = instance.act(("raise", "value"))
    instance.configure(f"error_dir: {blocked}\n")
    with open("/dev/full", "w") as full:  # quiet: nothing was written there before that would have been noticed
        command = [str(JOBCRON), "run", "-q", "-q", "act", "--config", str(instance.path)]
        assert subprocess.run(command, stderr=full, timeout=60, check=False).returncode == 0
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert f'"id": "{row.oops_id}"' in details(instance, job)


@pytest.mark.feature("LP-25")
def test_a_report_is_not_written_through_a_symbolic_link(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("raise", "value"))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    uuid = str(instance.row(job).uuid)[:8]
    for days in (0, 1):
        day = instance.state / "oops" / (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")
        day.mkdir(mode=0o700, parents=True)
        day.joinpath(f"OOPS-T{job}-1-{uuid}").symlink_to(victim)
    instance.state.joinpath("oops").chmod(0o700)
    instance.run("act")
    assert victim.read_text() == "precious"
    assert instance.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-25")
def test_a_report_that_a_filter_drops_is_nowhere_and_the_job_has_failed(instance: Instance) -> None:
    job = instance.act(("raise", "value"))
    (instance.path / "filterapp.py").write_text(
        textwrap.dedent("""
        from contextlib import nullcontext
        import fooapp
        from jobcron import globalErrorUtility

        def register():
            fooapp.register()
            if not globalErrorUtility.config.filters:
                globalErrorUtility.config.filters.append(lambda report: report["type"] == "ValueError")
        """)
    )
    instance.configure()
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("application: fooapp:", "application: filterapp:")
    path.write_text(re.sub("^(python_path: .*)$", rf"\1 {instance.path}", text, flags=re.M))
    instance.command("run", "act")
    row = instance.row(job)
    assert (row.status, row.oops_id) == (JobStatus.FAILED, None)
    assert instance.oopses() == []


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
