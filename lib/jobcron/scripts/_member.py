"""``python -m jobcron.scripts._member SECTION``: the run of one section of a group (LP-17)."""

from __future__ import annotations

from jobcron.scripts.job_script import JobCronScript
from jobcron.settings.settings import LEVELS


class MemberScript(JobCronScript):
    """A run of one section of a group: it is normal that an earlier run of the section is still going."""

    lock_held_level = LEVELS["INFO"]


if __name__ == "__main__":
    MemberScript(name="jobcron run", commandline_config=True).lock_and_run()
