"""The jobs of one batch about one object: each sees what the ones before it have written."""

from __future__ import annotations

import fooapp
from instances import Instance
from jobcron import JobStatus

COUNT = 6


def test_jobs_about_one_object_all_complete_in_one_run(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        for _ in range(COUNT):
            fooapp.DoFooJob.create(foo, session=session)
    log = instance.run("do_foo")
    assert "interrupted" not in log
    assert {row.status for row in instance.rows()} == {JobStatus.COMPLETED}
    assert instance.query("SELECT frozzled FROM foo") == [(COUNT,)]
    assert instance.query("SELECT kind FROM jobcron_event") == []
