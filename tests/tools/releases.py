"""Two releases of an application, one of which lacks what the other one has."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from fooapp import Ledger
from instances import Instance

SECTIONS = """
[functions]
source_interface: jobcron.functions.FunctionJob

[purge]
source_interface: shop.Purge

[paint]
source_interface: shop.Paint

[order]
tasks: shop.reserve
"""

COMMON = """
from enum import Enum, IntFlag, STRICT

from fooapp import Ledger
from jobcron import BaseRunnableJob, JobType, current_session
from jobcron.functions import job
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Jobs(JobType):
    PURGE = 1, "Purge"
    PAINT = 2, "Paint"

def note(text):
    current_session().add(Ledger(job=0, attempt=0, note=text))

def reserve(job):
    note("reserved")
"""

PAINT = """
class Paint(BaseRunnableJob):
    class_job_type = Jobs.PAINT
    target: object | None
    colour: Colour = Colour.RED
    extras: list[object] = []

    def run(self):
        note(f"painted {self.colour.name}")

@job
def mix(colour):
    note(f"mixed {colour.name}")
"""

OLD = f"""{COMMON}
class Colour(Enum):
    RED = 1

class Coats(IntFlag, boundary=STRICT):
    FIRST = 1

{PAINT}
class Purge(BaseRunnableJob):
    class_job_type = Jobs.PURGE
    days: int = 30

    def run(self):
        note(f"purged all of {{self.days}} days")

@job
def tidy():
    note("tidied all")
"""

NEW = f"""{COMMON}
class Colour(Enum):
    RED = 1
    GREEN = 2

class Coats(IntFlag, boundary=STRICT):
    FIRST = 1
    SECOND = 2

class Own(DeclarativeBase):
    pass

class Wall(Own):
    __tablename__ = "{Ledger.__tablename__}"
    id: Mapped[int] = mapped_column(primary_key=True)

{PAINT}
class Purge(BaseRunnableJob):
    class_job_type = Jobs.PURGE
    days: int = 30
    dry_run: bool = False

    def run(self):
        note(f"purged {{'none' if self.dry_run else 'all'}} of {{self.days}} days")

@job
def tidy(dry_run=False):
    note(f"tidied {{'none' if dry_run else 'all'}}")

@job
def sweep():
    note("swept")

def capture(job):
    note("captured")
"""


class Releases:
    """An instance whose application has two releases; the old one lacks what the new one has.

    Args:
        instance: the instance to configure.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.runner_class = "JobRunner"
        for name, text in (("old", OLD), ("new", NEW)):
            folder = instance.path / name
            folder.mkdir()
            (folder / "shop.py").write_text(text)

    def deploy(self, name: str) -> None:
        """Install one of the releases."""
        runner = f"shop.Purge\nrunner_class: {self.runner_class}"
        self.instance.configure(sections=SECTIONS.replace("shop.Purge", runner))
        path = self.instance.path / "jobcron.conf"
        text = path.read_text().replace("fooapp:register", "shop")
        if name == "new":
            text = text.replace("shop.reserve", "shop.reserve shop.capture")
        path.write_text(text.replace("python_path: ", f"python_path: {self.instance.path / name} "))

    def shop(self, name: str) -> ModuleType:
        """Return the module of a release, imported into this process: a web server's, say."""
        folder = str(Path(self.instance.path / name))
        sys.path.insert(0, folder)
        try:
            sys.modules.pop("shop", None)
            return importlib.import_module("shop")
        finally:
            sys.path.remove(folder)

    def run(self, *sections: str) -> str:
        """Run sections, each in a process of its own; return the logs."""
        return "".join(self.instance.command("run", section)[1] for section in sections)

    def make_due(self) -> None:
        """Make all waiting jobs due."""
        self.instance.query("UPDATE jobcron_job SET scheduled_start = date_created WHERE status = 0")

    def notes(self) -> list[str]:
        """Return what the jobs have committed, sorted."""
        return sorted(note for *_, note in self.instance.ledger())
