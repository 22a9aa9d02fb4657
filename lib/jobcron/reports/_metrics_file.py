"""The results of a section's runs, for Prometheus: counts, durations, and ready jobs (LP-33)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobcron.reports import _prometheus_text
from jobcron.reports._prometheus_text import Family, Labels, Samples
from jobcron.settings.directories import check_shared_directory

BOUNDS = ("0.1", "1", "5", "15", "30", "60", "120", "300", "900", "3600", "14400", "+Inf")
"""The bounds of the histograms' buckets, in seconds: cron starts once a minute, and a long job takes hours."""

USUAL_OUTCOMES = ("completed", "failed", "retry")
"""Outcomes that are written as 0 from the start, so that Prometheus sees the first one as an increase."""

STARTED = "jobcron_jobs_started_total"
ENDED = "jobcron_jobs_ended_total"
TAKEN_OVER = "jobcron_jobs_taken_over_total"
DURATION = "jobcron_job_duration_seconds"
WAIT = "jobcron_job_wait_seconds"
READY = "jobcron_ready_jobs"
OLDEST_READY = "jobcron_oldest_ready_seconds"
OFFERED = "jobcron_offered_jobs"
RUNS = "jobcron_run_duration_seconds"
LAST_DURATION = "jobcron_last_run_duration_seconds"
LAST_RUN = "jobcron_last_run_timestamp_seconds"
LAST_SUCCESS = "jobcron_last_success_timestamp_seconds"

FAMILIES = (
    Family(STARTED, "counter", "Attempts that began."),
    Family(ENDED, "counter", "Attempts that ended, by outcome."),
    Family(TAKEN_OVER, "counter", "Jobs that were taken over from a process that was gone or had lost its lease."),
    Family(DURATION, "histogram", "How long an attempt took, until its outcome was written."),
    Family(WAIT, "histogram", "How long a job was ready before it was claimed."),
    Family(READY, "gauge", "Jobs that were ready when the last run ended."),
    Family(OLDEST_READY, "gauge", "How long the oldest of them had been ready; 0 if there was none."),
    Family(OFFERED, "gauge", "Waiting jobs that were offered to the section's dispatcher, and not taken."),
    Family(RUNS, "summary", "Duration of the runs that looked for jobs."),
    Family(LAST_DURATION, "gauge", "Duration of the last of these runs."),
    Family(LAST_RUN, "gauge", "When it ended, in seconds since 1970 by this machine's clock."),
    Family(LAST_SUCCESS, "gauge", "When the last run that could do its work ended, even if jobs failed."),
)


class Tally:
    """Counts the events of one run of a section, and adds them to the section's file.

    Args:
        directory: the file's directory.
        what: what the directory is, for messages.
        section: the section's name.
    """

    def __init__(self, directory: str, what: str, section: str) -> None:
        self._directory, self._what = directory, what
        self.path = os.path.join(directory, f"jobcron_{section}.prom")
        self._section: Labels = (("section", section),)
        self._added: Samples = {}
        self._gauges: Samples = {}

    def started(self, job_class: str, waited: float | None) -> None:
        """Count the start of a job that had been ready for `waited` seconds; None: unknown."""
        self._add(STARTED, self._labels(job_class), 1)
        for outcome in USUAL_OUTCOMES:
            self._add(ENDED, self._labels(job_class, outcome=outcome), 0)
        if waited is not None:
            self._observe(WAIT, job_class, waited)

    def ended(self, job_class: str, outcome: str, seconds: float) -> None:
        """Count the end of a job that took `seconds`."""
        self._add(ENDED, self._labels(job_class, outcome=outcome), 1)
        self._observe(DURATION, job_class, seconds)

    def taken_over(self) -> None:
        """Count a job that was taken over: its process died without counting it."""
        self._add(TAKEN_OVER, self._section, 1)

    def ready(self, count: int, oldest_seconds: float, offered: int) -> None:
        """Note how many jobs are ready, how long the first has been, in seconds, and how many were offered."""
        self._gauges[READY, self._section] = float(count)
        self._gauges[OLDEST_READY, self._section] = oldest_seconds
        self._gauges[OFFERED, self._section] = float(offered)

    def run_ended(self, seconds: float, succeeded: bool) -> None:
        """Note the end of the run."""
        self._add(TAKEN_OVER, self._section, 0)
        self._add(f"{RUNS}_sum", self._section, seconds)
        self._add(f"{RUNS}_count", self._section, 1)
        self._gauges[LAST_DURATION, self._section] = seconds
        self._gauges[LAST_RUN, self._section] = time.time()
        if succeeded:
            self._gauges[LAST_SUCCESS, self._section] = self._gauges[LAST_RUN, self._section]

    def write(self) -> str | None:
        """Add the counts to the file; return why its counters started again at 0, or None if they did not.

        Raises:
            DirectoryError: the directory cannot be used.
            OSError: the file cannot be written.
        """
        check_shared_directory(self._directory, self._what)
        with _alone(self._directory):
            return self._add_to_file()

    def _add_to_file(self) -> str | None:
        problem = None
        try:
            kept = self._kept(_prometheus_text.parse(_prometheus_text.read(self.path)))
        except (OSError, ValueError) as error:
            kept, problem = {}, str(error)
        samples = {**kept, **self._gauges}
        for key, value in self._added.items():
            samples[key] = kept.get(key, 0.0) + value
        _prometheus_text.write(self.path, _prometheus_text.exposition(FAMILIES, samples))
        return problem

    @staticmethod
    def _kept(samples: Samples) -> Samples:
        """Return the samples that stay valid: the counters, and the last success."""
        names = {LAST_SUCCESS}.union(*(family.parts for family in FAMILIES if family.kind != "gauge"))
        return {key: value for key, value in samples.items() if key[0] in names}

    def _labels(self, job_class: str, **more: str) -> Labels:
        return (*self._section, ("job_class", job_class), *more.items())

    def _add(self, name: str, labels: Labels, value: float) -> None:
        self._added[name, labels] = self._added.get((name, labels), 0.0) + value

    def _observe(self, name: str, job_class: str, seconds: float) -> None:
        for bound in BOUNDS:
            self._add(f"{name}_bucket", self._labels(job_class, le=bound), float(seconds <= float(bound)))
        self._add(f"{name}_sum", self._labels(job_class), seconds)
        self._add(f"{name}_count", self._labels(job_class), 1)


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Lock a directory inside the block: several processes of one section may end at once."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
