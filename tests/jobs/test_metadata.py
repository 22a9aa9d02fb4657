"""A job's metadata: free data of its row, kept as it is, within the limits of its class."""

from __future__ import annotations

import pytest

from guestapp import Customer, EverythingJob, LargeJob, LetterJob, added
from instances import Instance
from jobcron import InvalidJobData, JobStatus


def test_what_only_looks_like_a_reference_is_data_where_nothing_declares_it(guest: Instance) -> None:
    looks = {"$object": ["guestapp.Customer", [[1]]]}
    with guest.session() as session:
        job = EverythingJob.create(metadata={"of the user": looks}, session=session).id
    guest.run("everything")
    assert guest.row(job).status is JobStatus.COMPLETED
    assert guest.row(job).json_data["of the user"] == looks


def test_a_class_sets_its_own_limits_and_a_job_cannot_pass_them_by_changing_its_data(guest: Instance) -> None:
    with guest.session() as session:
        with pytest.raises(InvalidJobData, match="at most 100 bytes"):
            LargeJob.create(metadata={"a": "b" * 100}, session=session)
        with pytest.raises(InvalidJobData, match="at most 3 levels"):
            LargeJob.create(metadata={"a": [[[1]]]}, session=session)
        number = LetterJob.create(added(session, Customer()), template="a").id
        letter = LetterJob.get(number, session=session)
        letter.metadata["a"] = "b" * (1 << 21)
        with pytest.raises(InvalidJobData, match="at most 1048576 bytes"):
            session.flush()
        session.rollback()
        letter = LetterJob.create(added(session, Customer()), template="a")
        letter.metadata["a"] = {1, 2}
        with pytest.raises(InvalidJobData, match=r"expected metadata\['a'\] to be JSON"):
            session.flush()
        session.rollback()
