"""Runners for ``runner_class`` of a section: jobcron's own, with a stopwatch or a profiler around the run."""

from __future__ import annotations

from bench.profiling import profiled
from bench.stopwatch import time_work
from jobcron import JobRunner


class TimedRunner(JobRunner):
    """Tells how long the run took, from before its first claim to after its last job."""

    measured = staticmethod(time_work)

    def runAll(self) -> None:
        """Run ready jobs until none is left."""
        run = super().runAll

        def work() -> int:
            run()
            return self.completed.total()

        self.measured(work)


class ProfiledRunner(TimedRunner):
    """Writes where the time of the run went."""

    measured = staticmethod(profiled)
