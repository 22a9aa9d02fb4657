"""``python -m jobcron.scripts._member SECTION``: what is started for each section, a run as any other (LP-17)."""

from __future__ import annotations

from jobcron.scripts.job_script import JobCronScript
from jobcron.settings.settings import LEVELS


class MemberScript(JobCronScript):
    """A run of a section among others: that one of them still goes on from before is as it should be."""

    lock_held_level = LEVELS["INFO"]


if __name__ == "__main__":
    MemberScript(name="jobcron run", commandline_config=True).lock_and_run()
