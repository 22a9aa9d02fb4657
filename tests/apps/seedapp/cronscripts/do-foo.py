#!/bin/sh
# Do Foo. The shell finds the checkout's Python, as in run_jobs.py: cron's python3 would not have our packages.
# fmt: off
''':'
python=${0%/*}/../../../../.venv/bin/python
exec "$python" "$0" "$@"
'''
# fmt: on
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from jobcron import JobCronScript, globalErrorUtility
from seedapp.interfaces.foojob import IDoFooJobSource


class RunDoFoo(JobCronScript):
    """Run DoFooJob jobs."""

    # Point JobCronScript to the config section that tells it what to do.
    config_name = "do_foo"

    # Tell JobCronScript the jobs utility that finds pending jobs.
    source_interface = IDoFooJobSource

    def main(self) -> int | None:
        """See `JobCronScript`."""
        globalErrorUtility.configure(self.config_name)
        return super().main()


if __name__ == "__main__":
    script = RunDoFoo()
    script.lock_and_run()
