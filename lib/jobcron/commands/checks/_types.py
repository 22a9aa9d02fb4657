"""Job types of the application that could not run: without the table of their family, or without a section."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, inspect

from jobcron.commands._output import Finding
from jobcron.functions.calls import FunctionJob
from jobcron.functions.registered import function_names
from jobcron.jobs.registry import registered, untyped
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.queue.sources import find_source, is_base
from jobcron.settings.named import dotted_name
from jobcron.settings.settings import Settings
from jobcron.steps import StepsJob
from jobcron.steps.queues import QueueSource


def families_without_table(connection: Connection) -> Iterator[Finding]:
    """Report the families whose table the database lacks.

    Args:
        connection: only read.
    """
    families = {c.context_class for c in registered().values() if issubclass(c, BaseRunnableJob) and c.has_family}
    inspector = inspect(connection)
    for family in sorted(families, key=dotted_name):
        table = inspect(family).local_table
        if not inspector.has_table(table.name, table.schema):
            yield Finding(
                f"family {dotted_name(family)}: expected its table {table.fullname} in the database, found none: "
                "create it as you create the application's other tables, after `jobcron upgrade`",
                1,
            )


def classes_without_type(settings: Settings) -> Iterator[Finding]:
    """Report the job classes that can run, and have no type although no class below them has one.

    Args:
        settings: the instance's. Classes that its sections name are errors there.
    """
    named = {section.source_interface for section in settings.sections.values()}
    for job_class in sorted(_leaves(BaseRunnableJob), key=dotted_name):
        if is_base(job_class) and job_class.run is not BaseRunnableJob.run and dotted_name(job_class) not in named:
            yield Finding(f"application: {untyped(dotted_name(job_class))}", is_warning=True)


def _leaves(job_class: type[BaseRunnableJob]) -> Iterator[type[BaseRunnableJob]]:
    """Yield the classes below another one that have none below them, but for our own."""
    below = job_class.__subclasses__()
    if not below and not job_class.__module__.startswith("jobcron."):
        yield job_class
    for each in below:
        yield from _leaves(each)


class WithoutSection(NamedTuple):
    """Types of the application that no section runs.

    Attributes:
        types: their names, each with its class.
        unknown: why nobody can know, in words; then there are no types. None: it is known.
    """

    types: dict[str, str]
    unknown: str | None = None


def types_without_section(settings: Settings) -> WithoutSection:
    """Return the types of the application that no section runs.

    Nobody can know where the source of a section is named by its script only, cannot be found, or finds its ready
    jobs itself, of whatever types; the jobs of a queue are those of the classes of several tasks.
    """
    sources: list[object] = []
    runs_steps = False
    for section in settings.sections.values():
        try:
            source = find_source(settings, section)
        except Exception:  # whatever the application raises: the check of the section itself tells it
            return WithoutSection({}, f"the source of section [{section.name}] cannot be found")
        if isinstance(source, QueueSource):
            runs_steps = True
        elif (
            isinstance(source, type) and issubclass(source, BaseRunnableJob) and not source.finds_ready_jobs_itself
        ):
            sources.append(source)
        else:
            own = f"has a source with an iterReady of its own, {section.source_interface}"
            return WithoutSection({}, f"section [{section.name}] {own}, which may find jobs of any type")
    left = {
        name: known
        for name, known in registered().items()
        if known not in sources and not (runs_steps and issubclass(known, StepsJob))
    }
    return WithoutSection({name: dotted_name(known) for name, known in left.items() if _has_jobs(known)})


def _has_jobs(job_class: type) -> bool:
    """Return whether there may be jobs of a class: those of functions need one that is registered."""
    return job_class is not FunctionJob or bool(function_names())
