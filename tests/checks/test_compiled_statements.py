"""Engines of one test process share their compiled statements, each database its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.sql.compiler import SQLCompiler

from fooapp import ActJob
from instances import Instance
from jobcron import Database, Job


@contextmanager
def compiling(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the statements that are compiled within the block."""
    compiled: list[str] = []
    compile_it = SQLCompiler.__init__

    def noted(self: Any, *arguments: Any, **options: Any) -> None:
        compile_it(self, *arguments, **options)
        compiled.append(str(self))

    with monkeypatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", noted)
        yield compiled


def create_and_find(instance: Instance) -> int:
    """Create a job and read its row, over an engine of its own."""
    database = Database(instance.url)
    with database.session() as session:
        job = ActJob.create(instance.foo(session), metadata={}, session=session)
        session.commit()
        found = session.scalars(select(Job).where(Job.id == job.job.id)).one()
    database.close()
    return found.id


def test_a_second_engine_compiles_nothing_that_the_first_one_has_compiled(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = create_and_find(instance)
    with compiling(monkeypatch) as compiled:
        assert create_and_find(instance) == first + 1
    assert compiled == []
    assert len(instance.rows()) == 2


def test_an_engine_that_is_not_ours_shares_nothing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    statement = select(Job.id)
    with instance.database.reading.connect() as connection:
        connection.execute(statement)
    engine = create_engine(instance.url)
    with compiling(monkeypatch) as compiled, engine.connect() as connection:
        connection.execute(statement)
    engine.dispose()
    assert str(statement) in compiled
