"""Finding the source that a section names."""

from __future__ import annotations

import pytest
from zope.component import getUtility

from fooapp import DoFooJob, IDoFooJobSource
from instances import Instance
from jobcron import ConfigurationError
from jobcron.testing import JobFactory


@pytest.mark.feature("LP-07")
def test_the_class_is_the_utility_of_its_source_interface() -> None:
    assert getUtility(IDoFooJobSource) is DoFooJob


def test_an_interface_that_several_classes_provide_names_no_source(instance: Instance) -> None:
    instance.configure(sections="[foos]\nsource_interface: fooapp.IFooJobSource\n")
    with pytest.raises(ConfigurationError, match=r"found several: fooapp\.ActJob, fooapp\.DoFooJob"):
        instance.run("foos")


def test_a_source_whose_type_was_renamed_is_not_looked_for_under_the_old_name(instance: Instance) -> None:
    instance.run("do_foo")
    with instance.session() as session:
        JobFactory(session).makeJob(type_name="foo_job.DO_FOO_OF_OLD")
    instance.query(
        "INSERT INTO jobcron_source (name, type, own_iter_ready) "
        "SELECT 'fooapp.DoFooJob', id, false FROM jobcron_type WHERE name = 'foo_job.DO_FOO_OF_OLD'"
    )
    instance.run("do_foo")
    names = instance.query(
        "SELECT t.name FROM jobcron_source AS s JOIN jobcron_type AS t ON t.id = s.type "
        "WHERE s.name = 'fooapp.DoFooJob'"
    )
    assert names == [("foo_job.DO_FOO",)]
