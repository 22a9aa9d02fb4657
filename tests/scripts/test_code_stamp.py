"""A tick asks for the type that the code of its machine says, and notices other code at once."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple
from uuid import uuid4

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.scripts.code_stamp import COARSE_SECONDS, NAME, note_types, types_by_source
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import Settings
from ticks import took_the_full_path
from worker_processes import eventually, is_completed, worker

SHOP = """
from fooapp import Ledger
from jobcron import BaseRunnableJob, Job, JobType, current_session

class Jobs(JobType):
    SEND = 1, "Send"
    MAIL = 2, "Mail"

class Send(BaseRunnableJob):
    class_job_type = Jobs.SEND

    def run(self):
        pass
"""

RENAMED = SHOP.replace("class_job_type = Jobs.SEND", "class_job_type = Jobs.MAIL  # see pyc: the size")

OWN_READY = """
    @classmethod
    def iterReady(cls):
        return map(cls, current_session().query(Job).filter(Job._status == 0))
"""


class Shop(NamedTuple):
    """An application whose code changes."""

    instance: Instance

    @property
    def module(self) -> Path:
        """The file of its code."""
        return self.instance.path / "code" / "shop.py"

    def write(self, text: str) -> None:
        """Change the code, and wait until it is certainly older than a process that starts from now on.

        A fork starts within some milliseconds, and keeps nothing of code that may be younger than itself.
        """
        self.module.parent.mkdir(exist_ok=True)
        self.module.write_text(text)
        time.sleep(5 * COARSE_SECONDS)

    def create(self, type_name: str) -> int:
        """Commit a job of a type, as a process with that code does, and return its number."""
        query = self.instance.query
        if not query("SELECT 1 FROM jobcron_type WHERE name = :name", name=type_name):
            query("INSERT INTO jobcron_type (name) VALUES (:name)", name=type_name)
        query(
            "INSERT INTO jobcron_job (uuid, type, json_data) "
            "SELECT :uuid, id, '{}' FROM jobcron_type WHERE name = :name",
            uuid=uuid4().hex,
            name=type_name,
        )
        ((number,),) = query("SELECT max(id) FROM jobcron_job")
        self.instance.database.close()
        return int(number)


@pytest.fixture
def shop(instance: Instance) -> Shop:
    """Return an application that has run a moment ago, and has nothing to do."""
    shop = Shop(instance)
    shop.write(SHOP)
    instance.configure(sections="[send]\nsource_interface: shop.Send\n")
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("fooapp:register", "shop")
    path.write_text(text.replace("python_path: ", f"python_path: {shop.module.parent} "))
    assert took_the_full_path(instance, "send")
    assert not took_the_full_path(instance, "send")
    return shop


def test_a_job_of_a_renamed_type_is_seen_at_once(shop: Shop) -> None:
    shop.write(RENAMED)
    job = shop.create("shop.Jobs.MAIL")
    assert took_the_full_path(shop.instance, "send")
    assert shop.instance.row(job).status is JobStatus.COMPLETED
    shop.instance.database.close()
    assert not took_the_full_path(shop.instance, "send")


def test_a_class_that_gets_its_own_iter_ready_is_asked_at_once(shop: Shop) -> None:
    shop.write(SHOP + OWN_READY)
    job = shop.create("shop.Jobs.MAIL")
    assert took_the_full_path(shop.instance, "send")
    assert shop.instance.row(job).status is JobStatus.COMPLETED
    assert took_the_full_path(shop.instance, "send")


def test_code_with_the_same_size_and_the_old_time_is_noticed_as_well(shop: Shop) -> None:
    before = shop.module.stat()
    shop.write(SHOP.replace("class_job_type = Jobs.SEND", "class_job_type = Jobs.MAIL"))
    os.utime(shop.module, ns=(before.st_atime_ns, before.st_mtime_ns))  # as by rsync -t
    rmtree(shop.module.parent / "__pycache__", ignore_errors=True)  # Python itself would not notice
    job = shop.create("shop.Jobs.MAIL")
    assert took_the_full_path(shop.instance, "send")
    assert shop.instance.row(job).status is JobStatus.COMPLETED


def test_two_releases_on_one_database_each_see_the_jobs_of_their_own_code(shop: Shop, tmp_path: Path) -> None:
    other = Shop(Instance(tmp_path / "other", shop.instance.url))
    other.write(RENAMED)
    conf = (shop.instance.path / "jobcron.conf").read_text()
    (other.instance.path / "jobcron.conf").write_text(
        conf.replace(str(shop.instance.path), str(other.instance.path))
    )
    assert took_the_full_path(other.instance, "send")
    for each, name in ((shop, "shop.Jobs.SEND"), (other, "shop.Jobs.MAIL")):
        job = each.create(name)
        assert took_the_full_path(each.instance, "send")
        assert each.instance.row(job).status is JobStatus.COMPLETED
        each.instance.database.close()
        assert not took_the_full_path(each.instance, "send")


def test_a_worker_with_the_old_code_does_not_note_its_types_for_the_new_code(shop: Shop) -> None:
    with worker(shop.instance, "send") as running:
        eventually(lambda: running.log.exists() and "The worker runs send." in running.log.read_text())
        shop.write(RENAMED)
        eventually(is_completed(shop.instance, shop.create("shop.Jobs.SEND")))
        assert running.stop() == 0
    job = shop.create("shop.Jobs.MAIL")
    assert took_the_full_path(shop.instance, "send")
    assert shop.instance.row(job).status is JobStatus.COMPLETED


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of an instance with a state directory."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "jobcron.conf").write_text(
        f"[jobcron]\ndatabase_url: sqlite:///x.db\nstate_dir: {tmp_path}/state\n"
    )
    return load_settings(str(tmp_path))


TYPES = {"shop.Send": "Jobs.SEND"}


def test_what_runs_have_noted_of_the_same_code_is_added_up(settings: Settings) -> None:
    note_types(settings, TYPES, time.monotonic())
    note_types(settings, {"shop.Mail": "Jobs.MAIL"}, time.monotonic())
    assert types_by_source(settings) == {**TYPES, "shop.Mail": "Jobs.MAIL"}


def test_installing_a_package_makes_what_was_noted_void(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    note_types(settings, TYPES, time.monotonic())
    assert types_by_source(settings) == TYPES
    time.sleep(0.02)  # longer than the clock of the files is coarse
    (folder / "shop-2.dist-info").mkdir()
    assert types_by_source(settings) == {}


def test_code_in_another_place_is_other_code(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    note_types(settings, TYPES, time.monotonic())
    assert types_by_source(settings._replace(python_path=["/srv/shop-2"])) == {}
    assert types_by_source(settings._replace(application="shop2")) == {}
    monkeypatch.setenv("PYTHONPATH", "/srv/shop-2")
    assert types_by_source(settings) == {}


def test_nothing_is_noted_of_code_that_changed_after_the_process_had_started(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic() - 60
    (tmp_path / "changing.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("changing")
    note_types(settings, TYPES, started)
    assert types_by_source(settings) == {}
    del sys.modules["changing"]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"place": 1}', "[" * 10_000, '{"place": [], "files": [], "types": 3}']
)
def test_a_file_that_cannot_be_read_is_written_anew(settings: Settings, content: str) -> None:
    path = Path(settings.state_dir) / NAME
    path.write_text(content)
    assert types_by_source(settings) == {}
    note_types(settings, TYPES, time.monotonic())
    assert types_by_source(settings) == TYPES


def test_a_file_that_others_may_write_is_not_believed(settings: Settings) -> None:
    note_types(settings, TYPES, time.monotonic())
    path = Path(settings.state_dir) / NAME
    assert json.loads(path.read_text())["types"] == TYPES
    path.chmod(0o666)
    assert types_by_source(settings) == {}
