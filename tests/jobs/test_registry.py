"""Which class a job type belongs to: one, and an error says where there is none or another."""

from __future__ import annotations

import pytest

from fooapp import DoFooJob, FooJob, FooJobType
from jobcron import BaseRunnableJob, DuplicateJobType, UnknownJobType
from jobcron.jobs import registry


@pytest.mark.feature("LP-06")
def test_two_classes_with_one_type_are_an_error_that_names_both() -> None:
    with pytest.raises(DuplicateJobType, match=r"fooapp\.DoFooJob and .*Impostor"):

        class Impostor(BaseRunnableJob[FooJob]):
            class_job_type = FooJobType.DO_FOO

            def run(self) -> None: ...

    assert registry.class_of("foo_job.DO_FOO") is DoFooJob


def test_a_type_without_a_class_is_an_error_that_says_so() -> None:
    with pytest.raises(UnknownJobType, match=r"foo_job\.NEVER"):
        registry.class_of("foo_job.NEVER")
