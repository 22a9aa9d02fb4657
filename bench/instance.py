"""A configuration for a measured run of ``jobcron``, in a folder that is thrown away."""

from __future__ import annotations

from pathlib import Path

from bench import TOP

SECTION = "no_op"

# A run row is due once in the activity interval: measured ticks must not be the ones that write it.
TEXT = """\
[jobcron]
database_url: {url}
application: {module}
python_path: {top}
state_dir: {folder}/state
activity_interval: 24h
{more}
[{section}]
source_interface: {module}.{job}
runner_class: {runner}
{own}"""


def write_instance(
    folder: Path,
    url: str,
    runner: str = "JobRunner",
    *,
    job: str = "NoOpJob",
    more: str = "",
    own: str = "",
    module: str = "bench.application",
) -> Path:
    """Write a configuration, and return what ``JOBCRON_CONFIG`` has to be.

    Args:
        folder: an empty one.
        url: the database's.
        runner: the value of ``runner_class``.
        job: the class of the section's jobs.
        more: more keys of the instance.
        own: more keys of the section.
        module: the application, which has the class.
    """
    values = {"url": url, "top": TOP, "folder": folder, "section": SECTION}
    text = TEXT.format(runner=runner, job=job, more=more, own=own, module=module, **values)
    (folder / "jobcron.conf").write_text(text)
    return folder
