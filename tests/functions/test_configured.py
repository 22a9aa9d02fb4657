"""Functions that the configuration registers."""

from __future__ import annotations

from typing import Any

import pytest

import functionapp as typed_app
from instances import FUNCTIONS, Instance
from jobcron import JobStatus
from jobcron.functions import FunctionJob

app: Any = typed_app


@pytest.mark.feature("DJF-01")
def test_a_section_names_functions_that_no_code_registers(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.undocumented.delay(session=session)
        renamed = FunctionJob.get(uuid, session=session)
        renamed.metadata["function"] = "functionapp.not_registered"
    path = calling.path / "jobcron.conf"
    text = path.read_text().replace(FUNCTIONS, "[functions]\nfunctions: functionapp.not_registered\n")
    path.write_text(text)
    calling.command("run", "functions")
    assert [row.status for row in calling.rows()] == [JobStatus.COMPLETED]
    for wrong, said in (
        ("functionapp.missing", "expected missing in functionapp to be a callable, found no such name"),
        ("functionapp.work_later", "which is async or a generator"),
        ("no_such_module.x", "expected the module no_such_module to be importable"),
        ("functionless", "(module.name or module:name) of a callable, got: functionless"),
        (
            "a.b\ntasks: a.b",
            "expected jobcron.functions.FunctionJob as source_interface, or none, got: tasks beside",
        ),
        ("a.b\nsource_interface: a.b", "or none, got: source_interface beside it"),
    ):
        path.write_text(text.replace("functionapp.not_registered", wrong))
        out, _ = calling.command("check-config", expect=2)
        assert "section [functions], key functions: " in out
        assert said in out
