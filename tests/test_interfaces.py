"""The interfaces: the classes provide what they ask for."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session
from zope.interface.verify import verifyClass, verifyObject

from fooapp import DoFooJob, Foo, HandmadeJob, IDoFooJobSource, handmade_source
from jobcron import IJob, IJobSource, IRunnableJob, Job


@pytest.mark.feature("LP-04", "LP-05", "LP-03")
def test_the_classes_provide_what_the_interfaces_ask_for(session: Session, foo: Foo) -> None:
    assert verifyObject(IRunnableJob, DoFooJob.create(foo))
    assert verifyClass(IJob, Job)
    assert verifyObject(IDoFooJobSource, DoFooJob)
    assert verifyObject(IJobSource, handmade_source)
    assert verifyClass(IRunnableJob, HandmadeJob)
