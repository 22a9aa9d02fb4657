"""The dashboard knows of jobs that were offered to a dispatcher: on their pages, and where they are left."""

from __future__ import annotations

import pytest

import dispatchapp
from instances import SECTIONS, Instance
from jobcron.operations.faults import dispatch
from web_pages import Visitor


@pytest.mark.feature("LP-32")
def test_a_job_that_was_offered_and_not_taken_says_so_and_the_doctor_too(
    ada: Visitor, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.configure(sections=SECTIONS.replace("[act]\n", "[act]\ndispatch: dispatchapp:Noting\n"))
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    for noted in ("offered", "withdrawn"):
        monkeypatch.setattr(dispatchapp, noted, [])
    job = instance.act()
    assert "offered to dispatchapp:Noting" in ada.get(f"/jobs/{job}").words
    assert "ago, not taken" in ada.get(f"/jobs/{job}").words
    monkeypatch.setattr(dispatch, "UNTAKEN_SECONDS", 0.0)
    assert "section act: 1 job offered to dispatchapp:Noting" in ada.get("/doctor").words
    instance.run("act")
    assert "offered to" not in ada.get(f"/jobs/{job}").words
