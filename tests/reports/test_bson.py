"""Reports as python-oops' date directory has them: its own tools read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oops_datedir_repo import DateDirRepo, serializer

from alarmapp import SECTIONS, make
from instances import Instance
from jobcron.reports import bson


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
    assert str(told["time"]).startswith("20")
    assert "told" in cast("dict[str, object]", told["req_vars"])
