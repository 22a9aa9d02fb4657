"""A configuration for a measured run of ``jobcron``, in a folder that is thrown away."""

from __future__ import annotations

from pathlib import Path

from bench import TOP

SECTION = "no_op"

# A run row is due once in the activity interval: measured ticks must not be the ones that write it.
TEXT = """\
[jobcron]
database_url: {url}
application: bench.application
python_path: {top}
state_dir: {folder}/state
activity_interval: 24h
{more}
[{section}]
source_interface: bench.application.{job}
runner_class: {runner}
"""


def write_instance(
    folder: Path, url: str, runner: str = "JobRunner", *, job: str = "NoOpJob", more: str = ""
) -> Path:
    """Write a configuration, and return what ``JOBCRON_CONFIG`` has to be.

    Args:
        folder: an empty one.
        url: the database's.
        runner: the value of ``runner_class``.
        job: the class of the section's jobs.
        more: more keys of the instance.
    """
    text = TEXT.format(url=url, top=TOP, folder=folder, section=SECTION, runner=runner, job=job, more=more)
    (folder / "jobcron.conf").write_text(text)
    return folder
