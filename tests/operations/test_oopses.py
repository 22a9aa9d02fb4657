"""Reports, and groups of them by their cause."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from instances import Instance
from jobcron import DirectoryError, load_settings
from jobcron.operations import oopses
from jobcron.operations.oopses import find_report, group_reports, newest_reports

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def write(
    instance: Instance, number: int, value: object, line: int = 7, kind: str = "KeyError", **more: object
) -> str:
    """Write a report, and return its id."""
    folder = instance.state / "oops" / "2026-11-29"
    folder.mkdir(parents=True, exist_ok=True)
    oops_id = f"OOPS-T{number}"
    tb_text = (
        f'Traceback\n  File "/lib/a.py", line 1, in run\n  File "/srv/b.py", line {line}, in work\n{kind}: {value}'
    )
    report = {
        "id": oops_id,
        "type": kind,
        "value": value,
        "time": f"2026-11-29T12:00:{number:02}",
        "tb_text": tb_text,
    }
    (folder / oops_id).write_text(json.dumps({**report, **more}))
    return oops_id


@on_sqlite
def test_reports_of_one_cause_are_one_group(instance: Instance) -> None:
    for number in range(3):
        write(instance, number, f"no order {number} of 'ada{number}' at 0x7f{number}")
    other_line = write(instance, 10, "no order 1 of 'ada1' at 0x7f1", line=8)
    other_text = write(instance, 11, "no customer 1")
    other_kind = write(instance, 12, "no order 1 of 'ada1' at 0x7f1", kind="ValueError")
    first, *others = group_reports(load_settings(str(instance.path)))
    assert (first.count, first.type, first.place, first.newest) == (3, "KeyError", "/srv/b.py:7", "OOPS-T2")
    assert (first.value, first.first, first.last) == (
        "no order 2 of 'ada2' at 0x7f2", "2026-11-29T12:00:00", "2026-11-29T12:00:02",
    )  # fmt: skip
    assert {group.newest for group in others} == {other_line, other_text, other_kind}


@on_sqlite
def test_the_newest_reports_are_those_of_the_newest_days(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, numbers in (("2026-11-27", (1, 2)), ("2026-11-28", (3, 4)), ("2026-11-30", (5,))):
        for number in numbers:
            made = instance.state / "oops" / "2026-11-29" / write(instance, number, "no order")
            os.utime(made, (number, number))
            folder = made.parent.with_name(day)
            folder.mkdir(exist_ok=True)
            made.rename(folder / made.name)
    looked: list[str] = []
    real = oopses._written

    def written(path: Path) -> float:
        looked.append(path.name)
        return real(path)

    monkeypatch.setattr(oopses, "_written", written)
    settings = load_settings(str(instance.path))
    assert [report["id"] for report in newest_reports(settings, 2)] == ["OOPS-T5", "OOPS-T4"]
    assert sorted(looked) == ["OOPS-T3", "OOPS-T4", "OOPS-T5"], "files of older days are not looked at"
    assert [report["id"] for report in newest_reports(settings)] == [f"OOPS-T{n}" for n in (5, 4, 3, 2, 1)]


@on_sqlite
def test_what_is_no_file_is_no_report_and_nobody_waits_for_it(instance: Instance) -> None:
    kept = write(instance, 1, "no order")
    folder = instance.state / "oops" / "2026-11-29"
    os.mkfifo(folder / "OOPS-PIPE")
    (folder / "OOPS-FOLDER").mkdir()
    (folder / "OOPS-LOST").symlink_to("nowhere")
    settings = load_settings(str(instance.path))
    assert [report["id"] for report in newest_reports(settings)] == [kept]
    for name in ("OOPS-PIPE", "OOPS-FOLDER"):
        with pytest.raises(DirectoryError, match=name):
            find_report(settings, name)


@on_sqlite
def test_reports_that_are_not_as_jobcron_writes_them_are_grouped_too(instance: Instance) -> None:
    write(instance, 1, 7, tb_text=['  File "/srv/c.py", line 3, in x', "KeyError: 7"])
    write(instance, 2, None, tb_text=None)
    (instance.state / "oops" / "2026-11-29" / "OOPS-T3").write_text("no report")
    found = {group.newest: group.place for group in group_reports(load_settings(str(instance.path)))}
    assert found == {"OOPS-T1": "/srv/c.py:3", "OOPS-T2": None}


@on_sqlite
def test_only_so_many_reports_are_read(instance: Instance) -> None:
    for number in range(5):
        write(instance, number, "x")
    settings = load_settings(str(instance.path))
    assert len(list(newest_reports(settings, 3))) == 3
    assert group_reports(settings, 3)[0].count == 3


def test_a_report_of_a_job_is_found_and_grouped(instance: Instance) -> None:
    for _ in range(2):
        instance.act(("raise", "value"))
    instance.run("act")
    settings = load_settings(str(instance.path))
    (group,) = group_reports(settings)
    assert (group.count, group.type, group.value) == (2, "ValueError", "no such foo")
    assert group.place is not None
    assert "fooapp.py:" in group.place
    assert find_report(settings, group.newest)["type"] == "ValueError"
    with pytest.raises(DirectoryError, match="expected a report OOPS-T99"):
        find_report(settings, "OOPS-T99")


@on_sqlite
def test_the_place_is_the_applications_and_not_that_of_a_library(instance: Instance) -> None:
    line = '  File "{}", line {}, in x'
    app, installed = "/srv/shop/jobs.py", "/venv/lib/python3.11/site-packages/fooapp/jobs.py"
    libraries = (
        "/venv/lib/python3.11/site-packages/sqlalchemy/orm/session.py", "/usr/lib/python3.11/json/decoder.py",
        "/usr/lib/python3/dist-packages/requests/api.py", "<string>", "/checkout/lib/jobcron/runner/attempt.py",
    )  # fmt: skip
    for number, library in enumerate(libraries):
        write(instance, number, "x", tb_text=[line.format(app, 5), line.format(library, number)])
    write(instance, 20, "y", tb_text=[line.format(installed, 8), line.format(libraries[0], 1)])
    write(instance, 21, "z", tb_text=[line.format(libraries[1], 1), line.format(libraries[0], 2)])
    found = {group.value: (group.count, group.place) for group in group_reports(load_settings(str(instance.path)))}
    assert found == {"x": (5, f"{app}:5"), "y": (1, f"{installed}:8"), "z": (1, f"{libraries[0]}:2")}
