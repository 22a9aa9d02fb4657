"""Old reports are removed, but for those that a job names."""

from __future__ import annotations

import time

import pytest

from instances import Instance


@pytest.mark.feature("LP-31")
def test_old_reports_go_but_for_those_that_a_job_names_and_what_is_no_report(instance: Instance) -> None:
    kept = instance.act(("raise", "value"))
    instance.act(("raise", "value"))
    instance.command("run", "act")
    root = instance.state / "oops"
    (day,) = root.iterdir()
    old = root / "2020-01-01"
    day.rename(old)
    named = str(instance.row(kept).oops_id)
    instance.query("UPDATE jobcron_job SET oops_id = NULL WHERE id <> :id", id=kept)
    (old / "README").write_text("mine")
    (old / "OOPS-folder").mkdir()
    elsewhere = instance.path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "OOPS-precious").write_text("{}")
    (root / "2020-01-02").symlink_to(elsewhere)
    (old / "OOPS-link").symlink_to(elsewhere / "OOPS-precious")
    empty = root / "2020-01-03"
    empty.mkdir()
    (empty / ".OOPS-T1-1-x.77.tmp").write_text("half")
    today = root / time.strftime("%Y-%m-%d", time.gmtime())
    today.mkdir()
    (today / "OOPS-new").write_text("{}")
    _, err = instance.command("prune")
    assert sorted(path.name for path in old.iterdir()) == sorted([named, "README", "OOPS-folder", "OOPS-link"])
    assert (elsewhere / "OOPS-precious").exists()
    assert not empty.exists()
    assert (today / "OOPS-new").exists()
    assert f"INFO    Removed 2 OOPS reports in {root}." in err
