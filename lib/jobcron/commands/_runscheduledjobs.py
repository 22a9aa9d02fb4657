"""``jobcron runscheduledjobs``: run the ready jobs of functions, as django-future's command did (DJF-05)."""

from __future__ import annotations

from jobcron.errors import ConfigurationError
from jobcron.scripts.job_script import JobCronScript


class RunScheduledJobs(JobCronScript):
    """Run the ready jobs that call functions; without -i, the first that fails ends the run."""

    usage = "%(prog)s [options]"
    description = "Run the ready jobs that call functions, those of one section, until none is left or one fails."

    def __init__(self) -> None:
        super().__init__(name="jobcron runscheduledjobs")
        self.config_name = self.options.section

    @property
    def lock_name(self) -> str:
        """The section's lock: a run of it by another script runs the same jobs."""
        return self.section.name

    def add_my_options(self) -> None:
        """Add the options of django-future's command, and the section."""
        super().add_my_options()
        add = self.parser.add_argument
        add("--section", default="functions", help="the section of the configuration; by default functions")
        add(
            "-d",
            "--delete-completed",
            "--delete_completed",
            action="store_true",
            help="remove the jobs that this run completes",
        )
        add(
            "-i",
            "--ignore-errors",
            "--ignore_errors",
            action="store_true",
            help="go on after a job fails; by default the run then ends with its traceback and status 1",
        )

    def main(self) -> int | None:
        """Run the jobs, with a runner that stops or deletes as the options say."""
        from jobcron.commands._scheduled_runner import ScheduledRuns

        if self.section.runner_class != "JobRunner":
            raise ConfigurationError(
                f"{self.settings.path}: section [{self.section.name}], key runner_class: expected JobRunner, the "
                f"only one that `jobcron runscheduledjobs` has, got: {self.section.runner_class}; `jobcron run "
                f"{self.section.name}` runs the section as it says"
            )
        runs = ScheduledRuns(stops=not self.options.ignore_errors, deletes=self.options.delete_completed)
        self.runner_class = runs
        try:
            status = super().main()
        finally:
            for text in runs.failures:
                self.logger.error("%s", text, extra={"oops_id": None})
        return 1 if runs.failures else status
