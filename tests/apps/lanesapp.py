"""Jobs with a fast and a slow lane, with a family's table and without."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, ClassVar

from sqlalchemy import text

from fooapp import ActJob
from jobcron import BaseRunnableJob, JobType
from jobcron.runner import failure
from shortleaseapp import register_with_quick_keeper

SECONDS = 0.4
"""The time limit of the fast lanes."""

SECTIONS = """
[quick]
source_interface: lanesapp.QuickJob

[slow]
source_interface: lanesapp.SlowJob

[restricted]
source_interface: lanesapp.QuickJob
dbuser: foo_runner

[note]
source_interface: lanesapp.NoteJob

[slow_note]
source_interface: lanesapp.SlowNoteJob

[isolated]
source_interface: lanesapp.QuickJob
runner_class: ProcessJobRunner
"""


class LaneType(JobType):
    """The types of this module's family jobs: of the family of foos, with numbers that no other has."""

    QUICK = 30
    SLOW = 31


class NoteType(JobType):
    """The types of the jobs without a table."""

    QUICK = 0
    SLOW = 1


class QuickJob(ActJob):
    """Does what its data says, if that takes little time."""

    class_job_type: ClassVar[Any] = LaneType.QUICK
    time_limit = SECONDS


class SlowJob(QuickJob):
    """Does what its data says, if it takes some time."""

    class_job_type = LaneType.SLOW
    slow_lane_of = QuickJob
    time_limit = 3 * SECONDS


class NoteJob(BaseRunnableJob):
    """Sleeps, and then leaves a note."""

    class_job_type: ClassVar[Any] = NoteType.QUICK
    channel = "root.note"
    time_limit: ClassVar[Any] = SECONDS
    seconds: float

    def run(self) -> None:
        """Sleep, and leave the note in the ledger."""
        statement = text("INSERT INTO ledger (job, attempt, note) VALUES (:job, 0, :note)")
        self.session.execute(statement, {"job": self.id, "note": type(self).__name__})
        time.sleep(self.seconds)


class SlowNoteJob(NoteJob):
    """Has all the time."""

    class_job_type = NoteType.SLOW
    channel = "root.slow_note"
    slow_lane_of = NoteJob
    time_limit = None


def register_and_die() -> None:
    """Let this process die when the end of an attempt is to be written."""

    def die(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    register_with_quick_keeper()
    vars(failure)["set_aside"] = die
