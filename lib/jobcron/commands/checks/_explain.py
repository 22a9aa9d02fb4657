"""What ``jobcron check-config --explain`` adds: what was found where, and which section runs it."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator

from jobcron.commands._output import Finding
from jobcron.errors import ConfigurationError
from jobcron.jobs.registry import registered
from jobcron.queue.sources import find_source
from jobcron.settings.named import dotted_name, extend_path, import_below
from jobcron.settings.settings import Section, Settings
from jobcron.settings.sqlalchemy_url import describe_url, parse_url


def explain_database(settings: Settings) -> Iterator[Finding]:
    """Tell where the database's URL was found, and where modules are looked for first."""
    url = describe_url(parse_url(settings.database_url))
    yield Finding(f"database_url {url}, from {settings.database_origin}")
    extend_path(settings)
    folders = ", ".join(settings.python_path or ()) or "none"
    yield Finding(f"python_path: {folders}")


def explain_packages(settings: Settings) -> Iterator[Finding]:
    """Tell which modules were imported because they are below a package, and which were left out."""
    for package in settings.job_packages or ():
        below = import_below(package, settings.place("job_packages"))
        left_out = f"; left out: {', '.join(below.left_out)}" if below.left_out else ""
        yield Finding(f"job_packages {package}: {', '.join(below.imported)}{left_out}")


def explain_types(settings: Settings) -> Iterator[Finding]:
    """Tell of each job type its class and file, why that was imported, and which sections run it."""
    sections = _sections_by_class(settings)
    for name, job_class in sorted(registered().items()):
        if job_class.__module__.partition(".")[0] == "jobcron":
            continue
        module = job_class.__module__
        file = vars(sys.modules[module]).get("__file__") if module in sys.modules else None
        found = f"type {name}: {dotted_name(job_class)} in {file or module}, {_reason(settings, module)}"
        if running := sections[job_class]:
            yield Finding(f"{found}, run by {', '.join(section.name for section in running)}")
        else:
            short = name.rpartition(".")[2].lower()
            section = name.replace(".", "_").lower() if short in settings.sections else short
            lines = f"[{section}] and source_interface: {dotted_name(job_class)}"
            yield Finding(f"{found}, run by no section; one would have the lines {lines}")


def _reason(settings: Settings, module: str) -> str:
    """Return, in words, which key has made a module be imported."""
    application = (settings.application or "").partition(":")[0]
    if module == application:
        return f"imported as application {settings.application}"
    for package in settings.job_packages or ():
        if f"{module}.".startswith(f"{package}."):
            return f"found below job_packages {package}"
    for section in settings.sections.values():
        if (section.source_interface or "").rpartition(".")[0] == module:
            return f"named by section {section.name}"
    return f"imported by application {settings.application}" if application else "imported by another module"


def _sections_by_class(settings: Settings) -> defaultdict[object, list[Section]]:
    found: defaultdict[object, list[Section]] = defaultdict(list)
    for section in settings.sections.values():
        try:
            found[find_source(settings, section)].append(section)
        except ConfigurationError:
            continue  # the check of the section tells it
    return found
