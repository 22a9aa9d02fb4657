"""``jobcron init``: write a commented instance, and a first job that runs."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import stat
from pathlib import Path

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.settings.database_url import names_object
from jobcron.settings.datatypes import CONVERTERS, Place
from jobcron.settings.instance import FILE_NAME
from jobcron.settings.reading import read_schema
from jobcron.settings.settings import INSTANCE, SCHEMA
from jobcron.settings.sqlalchemy_url import has_password, parse_url

FIRST_JOB = "first_job"

HEAD = """\
# An instance of jobcron: where the jobs are, and the sections that run them. A key behind a # shows its
# default. Relative paths begin at this file's folder. `jobcron check-config` says whether all is well.
"""

EXAMPLE = """\
# A section for each kind of jobs, named as you like: "jobcron run do_foo" runs the ready jobs of its source.
# [do_foo]
# source_interface: {module}.DoFooJob
"""

JOB = '''\
"""A first job: it greets somebody, in a file beside this one.

    python first_job.py Ada     creates a job
    jobcron run greet           runs those that are ready
"""

import sys
from pathlib import Path

from jobcron import BaseRunnableJob, Database, JobType, load_settings


class FirstJobType(JobType):
    GREET = 0, "Greet somebody"


class Greet(BaseRunnableJob):
    class_job_type = FirstJobType.GREET
    name: str  # an argument: checked when a job is created, and kept on its row

    def run(self) -> None:
        greetings = Path(__file__).with_name("greetings.txt")
        with greetings.open("a", encoding="utf-8") as file:
            file.write(f"Hello, {self.name}!\\n")


def main() -> None:
    """Create a job: your application does so in a session and transaction of its own."""
    database = Database(load_settings().database_url)
    with database.session() as session:
        job = Greet.create(name=" ".join(sys.argv[1:]) or "world", session=session)
        session.commit()
        print(f"Job {job.id} is waiting.")


if __name__ == "__main__":
    main()
'''

_DATATYPE = re.compile(r"# datatype: .*")
_KEY = re.compile(r"(?P<key>\w+): (?P<default>.*)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("directory", nargs="?", default="jobcron-instance", metavar="DIRECTORY")
    add("--database-url", metavar="URL", help="the database; by default an SQLite file in DIRECTORY")
    add(
        "--application",
        metavar="MODULE[:CALLABLE]",
        help="the module that has your job classes, instead of a first job",
    )


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return init(options.directory, options.database_url, options.application)


def init(directory: str, database_url: str | None, application: str | None) -> int:
    """Write an instance, print the next steps, and return the exit status.

    Args:
        directory: the directory for it; made if necessary.
        database_url: the database's URL; None: an SQLite file in the directory.
        application: the module with the job classes; None: a first job is written, and is the application.

    Raises:
        ConfigurationError: a file exists already, everybody may write in the directory, or an option is wrong.
        DirectoryError: the directory cannot be written.
    """
    if not directory:
        raise ConfigurationError("init: expected a directory, got: ''")
    folder = Path(directory).absolute()
    _check("database_url", database_url, folder)
    _check("application", application, folder)
    texts = {FILE_NAME: configuration(database_url, application)}
    if application is None:
        texts[f"{FIRST_JOB}.py"] = JOB
    try:
        _write(folder, texts, is_secret=_has_secret(database_url))
    except OSError as error:
        raise DirectoryError(
            f"init: expected {folder} to be a directory that can be made and written, got: {error.strerror}"
        ) from error
    for name in texts:
        say(f"wrote {folder / name}")
    first_job = shlex.quote(str(folder / f"{FIRST_JOB}.py"))
    first = "" if application else f"\n    python {first_job} Ada\n    jobcron run greet"
    say(
        f"\nNext:\n    export JOBCRON_CONFIG={shlex.quote(str(folder))}\n    jobcron upgrade{first}\n"
        "    jobcron check-config\n    jobcron crontab"
    )
    return 0


def _has_secret(database_url: str | None) -> bool:
    if database_url is None or names_object(database_url):
        return False
    return has_password(parse_url(database_url))


def _check(key: str, text: str | None, folder: Path) -> None:
    """Check the value of an option as the configuration's reader will."""
    if text is None:
        return
    option = f"--{key.replace('_', '-')}"
    if text.strip() in ("", "none"):
        raise ConfigurationError(f"{option}: expected a text that is not empty or none, got: {text!r}")
    if not text.isprintable():  # not shown: it may be a URL with its password
        raise ConfigurationError(f"{option}: expected a text in one line, got one with control characters")
    datatype = read_schema(Path(SCHEMA).read_text(encoding="utf-8"))[INSTANCE][key].datatype
    CONVERTERS[datatype](text, Option(str(folder / FILE_NAME), INSTANCE, key))


class Option(Place):
    """An option's value, as a place in messages."""

    def __str__(self) -> str:
        return f"--{self.key.replace('_', '-')}"


def _write(folder: Path, texts: dict[str, str], *, is_secret: bool) -> None:
    for name in texts:
        if os.path.lexists(folder / name):
            raise ConfigurationError(
                f"init: expected no {folder / name}, it is there already: nothing was written"
            )
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():  # one by one: parents=True would give the upper ones the umask's mode
            path.mkdir(0o755)
    if folder.stat().st_mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"init: expected {folder} to be a directory that not everybody may write, everybody may: chmod o-w"
        )
    for name, text in texts.items():
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(folder / name, flags, 0o600 if is_secret and name == FILE_NAME else 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def configuration(database_url: str | None, application: str | None) -> str:
    """Return the text of an instance's file: the schema's comments, and the keys that are set."""
    module = (application or FIRST_JOB).partition(":")[0]
    given = {
        "database_url": database_url or "sqlite:///var/jobs.db",
        "application": application or FIRST_JOB,
        "state_dir": "var",
    }
    section = {}
    if application is None:
        given["python_path"] = "."
        section = {"source_interface": f"{FIRST_JOB}.Greet"}
    instance, _, job_section = Path(SCHEMA).read_text(encoding="utf-8").partition("\n[job_section]\n")
    job_section = job_section.partition("\n[job_schedule]\n")[0]
    keys = instance.partition("[jobcron]\n")[2]
    end = f"[greet]\n{_filled_in(job_section, section)}" if section else EXAMPLE.format(module=module)
    return f"{HEAD}\n[jobcron]\n{_filled_in(keys, given)}\n{end}"


def _filled_in(schema: str, given: dict[str, str]) -> str:
    """Return a part of the schema with the given keys set, and the others commented out."""
    lines = []
    for line in schema.splitlines():
        if _DATATYPE.fullmatch(line):
            continue
        match = _KEY.fullmatch(line)
        if match is None:
            lines.append(line)
        elif match["key"] in given:
            lines.append(f"{match['key']}: {given[match['key']]}")
        else:
            lines.append(f"# {line}")
    return "\n".join(lines).rstrip() + "\n"
