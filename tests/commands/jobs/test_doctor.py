"""``jobcron doctor``: its statuses and what it prints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobcron.testing import JobFactory
from operating import Operator


@pytest.fixture
def enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the disks enough room."""
    monkeypatch.setattr("jobcron.operations.doctor.FREE_BYTES", 0)
    assert shutil.disk_usage("/").free


@pytest.mark.usefixtures("enough_room")
def test_the_statuses_are_those_of_monitoring_plugins(operator: Operator) -> None:
    operator.instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\n")
    out = operator("doctor", expect=3)
    assert out.startswith(
        "JOBCRON UNKNOWN - 1 finding\nUNKNOWN  sections: section act has never run\n         -> is "
    )
    operator.instance.run("act")
    assert operator("doctor") == "JOBCRON OK - nothing is wrong\n"
    with operator.instance.session() as session:
        JobFactory(session).makeJob(type_name="gone.FOR_GOOD")
    found = operator.json("doctor", expect=1)
    assert (found["health"], list(found["findings"][0])) == ("WARNING", ["check", "health", "text", "remedy"])
    assert found["findings"][0]["check"] == "types"


@pytest.mark.parametrize(
    ("versions", "told", "remedy"),
    [
        ("version_num = '0001'", "found 0001: run `jobcron upgrade`", "jobcron upgrade"),
        (
            "version_num = '9999', oldest_code = '9998'",
            "found 9999, which serves code of 9998 or newer: update this code",
            "install the release of jobcron that the other hosts have",
        ),
    ],
)
def test_tables_that_do_not_fit_the_code_are_a_finding_of_their_own(
    operator: Operator, versions: str, told: str, remedy: str
) -> None:
    operator.instance.query(f"UPDATE jobcron_schema_version SET {versions}")
    (finding,) = operator.json("doctor", expect=2)["findings"]
    assert (finding["check"], finding["health"], finding["remedy"]) == ("schema", "CRITICAL", remedy)
    assert told in finding["text"]


@pytest.mark.usefixtures("enough_room")
def test_two_instances_with_one_state_directory_are_found(operator: Operator, tmp_path: Path) -> None:
    operator.instance.state.mkdir(mode=0o700)
    operator("sections")  # whoever uses the directory says so there
    text = (operator.instance.path / "jobcron.conf").read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "jobcron.conf").write_text(text.replace(operator.instance.url, f"sqlite:///{tmp_path}/other.db"))
    (finding,) = operator.json("--config", other, "doctor", expect=3)["findings"]
    assert (finding["check"], finding["health"]) == ("instance", "UNKNOWN")
    assert "key state_dir: expected a directory of this instance's own, got " in finding["text"]
    assert f"also that of {operator.instance.path / 'jobcron.conf'}, with another database" in finding["text"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_known_is_unknown(operator: Operator) -> None:
    operator.instance.configure("nonsense: 1")
    assert "JOBCRON UNKNOWN - 1 finding\nUNKNOWN  instance: " in operator("doctor", expect=3)
