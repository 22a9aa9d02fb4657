"""What may share a transaction, and what cannot."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from jobcron import BaseRunnableJob, IncompleteJobType, InvalidJobData
from jobcron.functions import job
from jobcron.steps import StepsJob


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"database_only": False}, "to have database_only = True as well"),
        ({"memory_limit": 10**9}, "to have no memory_limit: a process is not limited for one job of a group"),
        ({"channel": "root.narrow"}, "to have no channel: what runs in a channel is counted"),
        ({"iterReady": classmethod(lambda cls: iter(()))}, "to have no iterReady of its own"),
        ({"group_commit": "yes"}, "to be True or False, got 'yes'"),
    ],
)
def test_a_class_that_cannot_share_transactions_is_refused(values: dict[str, Any], says: str) -> None:
    kinds = Enum("kinds", ["REFUSED"])
    body = {"class_job_type": kinds.REFUSED, "run": lambda self: None, "database_only": True, "group_commit": True}
    with pytest.raises(IncompleteJobType, match=says):
        type("Refused", (BaseRunnableJob,), {**body, **values})


def test_a_job_of_several_tasks_cannot() -> None:
    with pytest.raises(IncompleteJobType, match="to have no tasks: jobs of several tasks commit after each"):
        type(
            "Refused",
            (StepsJob,),
            {"name": "refused_group", "tasks": [print], "database_only": True, "group_commit": True},
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"group_commit": True}, "to have database_only=True as well"),
        ({"group_commit": True, "database_only": True, "channel": "root.narrow"}, "to have no channel"),
        ({"group_commit": 1, "database_only": True}, "to be True or False, got 1"),
    ],
)
def test_a_function_that_cannot_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidJobData, match=says):

        @job(**options)
        def refused() -> None:
            """Do nothing."""
