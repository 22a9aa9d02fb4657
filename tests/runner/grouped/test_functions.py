"""Functions whose jobs share transactions, beside those whose jobs do not: one type has all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import functionapp
from instances import Instance
from jobcron import JobStatus
from jobcron.functions import registered
from jobcron.functions.registered import function_named
from jobcron.runner.grouped import _pace


def share(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the jobs of a function share transactions."""
    function = function_named(f"functionapp.{name}")
    options = replace(function.options, database_only=True, group_commit=True)
    monkeypatch.setitem(registered._functions, function.name, replace(function, options=options))


def test_only_functions_that_say_so_share_transactions(
    calling: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pace, "GROUP_SECONDS", 5.0)
    share(monkeypatch, "undocumented")
    with calling.session() as session:
        for number in range(20):
            function = functionapp.export if number % 7 == 3 else functionapp.undocumented
            arguments = ("foo",) if number % 7 == 3 else ()
            function.options(session=session).delay(*arguments)
    calling.run("functions")
    assert {row.status for row in calling.rows()} == {JobStatus.COMPLETED}
    assert [group.error for group in groups if group.error is not None] == []
    shared = {ended.claim.id for group in groups for ended in group.ended}
    assert len(shared) >= 3
    assert not {number + 1 for number in range(20) if number % 7 == 3} & shared


def test_where_no_function_says_so_there_are_no_groups(calling: Instance, groups: list[Any]) -> None:
    with calling.session() as session:
        for _ in range(4):
            functionapp.undocumented.options(session=session).delay()
    calling.run("functions")
    assert groups == []
