"""Several instances, each with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from instances import Instance

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
crontab_group: MAIN
"""

AWAY = "postgresql://nobody@127.0.0.1:1/none"
"""The URL of a server that does not run."""


class Pair(NamedTuple):
    """Two instances, and the pattern that finds them.

    Attributes:
        folder: where the folders of instances are.
        lite: one with SQLite.
        post: one with PostgreSQL.
    """

    folder: Path
    lite: Instance
    post: Instance

    @property
    def pattern(self) -> str:
        """The pattern of their configuration files."""
        return str(self.folder / "*" / "jobcron.conf")

    def add(self, name: str, text: str = "", *, url: str = AWAY) -> Path:
        """Make another instance: with this text as its configuration, or like the others with another database."""
        folder = self.folder / name
        folder.mkdir()
        like_others = (self.lite.path / "jobcron.conf").read_text().replace(self.lite.url, url)
        text = text or like_others.replace(str(self.lite.state), str(folder / "state"))
        (folder / "jobcron.conf").write_text(text)
        return folder


@contextmanager
def pair_of_instances(folder: Path, sqlite: str, postgresql: str) -> Iterator[Pair]:
    """Make two instances with these databases."""
    folder.mkdir()
    made = Pair(folder, Instance(folder / "lite", sqlite), Instance(folder / "post", postgresql))
    for instance in made[1:]:
        instance.configure(sections=SECTIONS)
    yield made
    for instance in made[1:]:
        instance.database.close()
