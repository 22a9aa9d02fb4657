"""Notes of what JSON and jsonb do not keep: read for ever, and in nobody's way."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from sqlalchemy import select

from encodingapp import Chain, KeepJob
from instances import Instance
from jobcron import Job
from jobcron.jobs.arguments.exact import VERSION, with_notes, without_notes
from samples import NAMES, same, samples


@pytest.mark.parametrize("sample", samples("documents-*.json"))
def test_documents_that_were_ever_written_are_read(sample: Any) -> None:
    assert same(without_notes(sample["written"]), eval(sample["value"], NAMES))


@pytest.mark.parametrize("sample", samples(f"documents-{VERSION}.json"))
def test_documents_are_written_as_this_version_says(sample: Any) -> None:
    written = with_notes(eval(sample["value"], NAMES), is_jsonb=True)
    assert json.dumps(written) == json.dumps(sample["written"])


def test_the_database_can_still_be_asked_for_what_has_notes(instance: Instance) -> None:
    with instance.session() as session:
        Chain.create(workspace={"long": 1e22, "b": (7,)}, session=session)
    where = {
        "sqlite": "json_extract(steps, '$.workspace.b[0]') = 7",
        "postgresql": "steps #>> '{workspace,b,0}' = '7' AND steps @> '{\"workspace\": {\"b\": [7]}}'",
    }[instance.database.dialect]
    assert instance.query(f"SELECT count(*) FROM jobcron_job WHERE {where}") == [(1,)]
    with instance.session() as session:
        first = Job.steps["workspace"]["b"][0].as_integer()
        assert session.scalars(select(first)).all() == [7]


def test_a_row_that_was_changed_by_sql_is_read_as_it_is_now(instance: Instance) -> None:
    with instance.session() as session:
        number = KeepJob.create(metadata={"bb": {"bb": 1e22, "a": 1}, "a": (1, -0.0)}, session=session).id
    change = {
        "sqlite": "json_set(json_remove(json_data, '$.a'), '$.bb', json('{\"a\": 3, \"c\": 4}'))",
        "postgresql": 'json_data - \'a\' || \'{"bb": {"a": 3, "c": 4}}\'',
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_job SET json_data = {change}")
    assert same(dict(instance.row(number).json_data), {"bb": {"a": 3, "c": 4}})


@pytest.mark.parametrize(
    "notes",
    [
        None,
        {"version": 2, "order": 7, "floats": {"a": 1}, "tuples": "x"},
        {
            "version": 2,
            "order": [[["a"], ["b"]], [7, 7], 7, [[], [[1]]]],
            "tuples": [7, [], ["a", "b", "c"], [{}]],
        },
        {"version": 2, "floats": [[["a"], "x"], [["a"], [1]], [[], "1.0"], [["b"], "1e400"], [["a"], "nan"]]},
    ],
)
def test_notes_that_make_no_sense_change_nothing(notes: Any) -> None:
    found = cast("dict[str, object]", without_notes({"a": 1, "b": [2], "$jobcron": notes}))
    assert found.pop("$jobcron", notes) == notes
    assert same(found, {"a": 1, "b": [2]})
