"""``jobcron oops``: shows reports to people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from instances import Instance
from jobcron import DirectoryError
from jobcron.commands._oops import show_reports


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"id": "x"}'])
def test_what_is_no_report_in_the_history_is_not_shown_as_one(instance: Instance, text: str) -> None:
    job = instance.act(("raise", "value"))
    instance.query(
        "INSERT INTO jobcron_event (job, at, actor, kind, detail, oops_id, lease_token) "
        "VALUES (:job, CURRENT_TIMESTAMP, 'x', 'failed', :detail, 'OOPS-T1', 1)",
        job=job,
        detail=f"not published: x\n{text}",
    )
    with pytest.raises(DirectoryError, match="expected a report OOPS-T1 in"):
        show_reports(str(instance.path), "OOPS-T1", as_json=False)


@pytest.fixture
def failed(instance: Instance) -> tuple[Instance, dict[str, Any]]:
    """Return an instance with a report, and the report."""
    instance.act(("write", "x"), ("chain", "odd \x1b[31m"), tell=[])
    instance.command("run", "act")
    return instance, json.loads(instance.oopses()[0].read_text())


@pytest.mark.feature("LP-25")
def test_a_report_is_shown_to_people(failed: tuple[Instance, dict[str, Any]]) -> None:
    instance, report = failed
    out, _ = instance.command("oops", report["id"])
    assert out.startswith(f"{report['id']}\nValueError: the consequence\n")
    assert "KeyError: 'the cause'" in out
    assert "reporter  T-act" in out
    assert "INSERT INTO ledger" in out
    assert "  attempt_count  1" in out
    as_json, _ = instance.command("oops", report["id"], "--json")
    assert json.loads(as_json) == report


@pytest.mark.feature("LP-25")
def test_parts_of_a_report_that_are_not_as_jobcron_writes_them_do_not_hide_the_rest(instance: Instance) -> None:
    folder = instance.state / "oops" / "2026-11-29"
    folder.mkdir(parents=True)
    head = {"id": "OOPS-T1-1-a", "type": "KeyError", "value": 7, "time": "2026-11-29T12:00:00+00:00"}
    odd = {"req_vars": [["job_id", 1]], "timeline": "none", "tb_text": ["line 1", 2]}
    (folder / "OOPS-T1-1-a").write_text(json.dumps(head | odd))
    out, _ = instance.command("oops", "OOPS-T1-1-a")
    assert out.startswith("OOPS-T1-1-a\nKeyError: 7\n")
    assert out.endswith("line 1\n2\n")
    assert instance.command("oops")[0] == "2026-11-29T12:00:00  OOPS-T1-1-a  KeyError: 7\n"


@pytest.mark.feature("LP-25")
def test_without_an_id_the_newest_reports_are_listed(failed: tuple[Instance, dict[str, Any]]) -> None:
    instance, report = failed
    out, _ = instance.command("oops")
    assert out == f"{report['time'][:19]}  {report['id']}  ValueError: the consequence\n"
    (listed,) = json.loads(instance.command("oops", "--json")[0])["reports"]
    assert listed == {name: report[name] for name in ("id", "time", "type", "value")}


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("oops_id", ["../../etc/passwd", "OOPS-", "OOPS-a/b", "OOPS-*"])
def test_what_is_no_id_meets_no_path(instance: Instance, oops_id: str) -> None:
    _, err = instance.command("oops", oops_id, expect=2)
    assert err == f"jobcron: expected an id such as OOPS-J5-1-0a1b2c3d, got: {oops_id!r}\n"


@pytest.mark.feature("LP-25")
def test_a_report_that_is_nowhere_is_said_with_the_places(instance: Instance) -> None:
    _, err = instance.command("oops", "OOPS-T1-1-x", expect=1)
    assert (
        f"expected a report OOPS-T1-1-x in {instance.state / 'oops'} or in the history of a job, found none" in err
    )


@pytest.mark.feature("LP-25")
def test_a_report_that_no_publisher_took_is_shown_from_the_history(instance: Instance) -> None:
    instance.configure("oops_publishers: alarmapp:refuse")
    job = instance.act(("raise", "value"))
    instance.command("run", "act")
    assert instance.oopses() == []
    out, _ = instance.command("oops", str(instance.row(job).oops_id))
    assert "ValueError: no such foo" in out


@pytest.mark.feature("LP-25")
def test_reports_are_grouped_by_their_cause(failed: tuple[Instance, dict[str, Any]]) -> None:
    instance, report = failed
    heads, row = instance.command("oops", "--group")[0].splitlines()
    assert heads == "reports\tfirst\tlast\tnewest\tplace\terror"
    assert row.startswith(f"1\t{report['time'][:19]}\t{report['time'][:19]}\t{report['id']}\t")
    assert row.endswith("\tValueError: the consequence")
    (group,) = json.loads(instance.command("oops", "--group", "--json")[0])["groups"]
    assert (group["count"], group["newest"]) == (1, report["id"])
    assert "expected an id or --group, got both" in instance.command("oops", report["id"], "--group", expect=2)[1]
