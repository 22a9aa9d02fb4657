"""A worker of Celery's says at its start what is wrong, in one message and without a traceback (LP-32)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from celery_workers import COMMAND, celery_sections, configure
from instances import Instance

BROKER = "amqp://guest:s3cr3tpw@127.0.0.1:9//"
"""Nobody asks it."""


def run(command: list[str], config: object) -> subprocess.CompletedProcess[str]:
    """Start a worker that has to end by itself."""
    environment = {**os.environ, "JOBCRON_CONFIG": str(config), "C_FORCE_ROOT": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def refused(config: object, *options: str) -> str:
    """Start a worker that has to end with status 2, and return what it said."""
    return refusal(run([*COMMAND, "worker", "-l", "INFO", *options], config))


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a worker ended with status 2 and one message, and return that."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "s3cr3tpw" not in done.stderr + done.stdout
    return done.stderr


@pytest.mark.feature("LP-32")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_instance_without_a_broker_or_without_a_configuration_is_told(
    instance: Instance, tmp_path: Path
) -> None:
    assert "key celery_broker_url: expected the URL of a broker, got nothing" in refused(instance.path)
    assert "expected JOBCRON_CONFIG to be the path of a directory" in refused(tmp_path / "nowhere")
    configure(instance, "rabbit")
    assert "key celery_broker_url: expected a broker's URL such as amqp://" in refused(instance.path)
    sections = celery_sections("dispatch: celry")
    configure(instance, BROKER, sections)
    assert "key dispatch: expected celery, or module:callable, got: celry; did you mean celery?" in refused(
        instance.path
    )
    configure(instance, BROKER, "")
    assert "expected a section of jobs for Celery, found none" in refused(instance.path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--concurrency", "2"), "expected --concurrency 1 for an SQLite database"),
        (("--beat",), "expected no --beat"),
        (("--pool", "threads"), "expected --pool to be one of prefork, solo, processes"),
        (("-Q", "nosuch"), r"expected --queues to be of \w+\.act, \w+\.do_foo, .*, got: nosuch\n"),
        (("-X", "nosuch,other"), r"expected --exclude-queues to be of .*, got: nosuch, other\n"),
    ],
)
def test_an_option_that_cannot_be_served_is_told(
    instance: Instance, options: tuple[str, ...], expected: str
) -> None:
    configure(instance, BROKER)
    assert re.search(expected, refused(instance.path, *options))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("-b", "expected no --broker: .*key celery_broker_url, or the variable JOBCRON_CELERY_BROKER_URL, names"),
        ("--result-backend", "expected no --result-backend: jobs have their results in the database"),
    ],
)
def test_another_broker_or_a_place_for_results_is_refused(instance: Instance, option: str, expected: str) -> None:
    configure(instance, BROKER)
    done = run([*COMMAND, option, "redis://:s3cr3tpw@127.0.0.1:9/5", "worker"], instance.path)
    assert re.search(expected, refusal(done))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_broker_of_the_environment_is_checked_as_the_key_is(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance, BROKER)
    for wrong in ("rabbit", "amqp://guest:s3cr3tpw@127.0.0.1:port//"):
        monkeypatch.setenv("JOBCRON_CELERY_BROKER_URL", wrong)
        assert "expected JOBCRON_CELERY_BROKER_URL to be a broker's URL such as amqp://" in refused(instance.path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_application_or_a_section_that_does_not_fit_is_told(instance: Instance) -> None:
    configure(instance, BROKER, celery_sections().replace("fooapp.IActJobSource", "fooapp.OwnReadyJob"))
    assert "section [act], key dispatch: expected a job class without iterReady" in refused(instance.path)
    configure(instance, BROKER)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "nowhere"))
    assert "key application" in refused(instance.path)


def test_a_database_without_tables_is_told(instance: Instance) -> None:
    configure(instance, BROKER)
    instance.query("UPDATE jobcron_schema_version SET version_num = '0001'")
    assert "run `jobcron upgrade`" in refused(instance.path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_the_extra_a_job_is_created_and_left_to_cron(instance: Instance) -> None:
    configure(instance, BROKER)
    code = (
        "import sys; sys.modules['celery'] = None\n"
        "from fooapp import ActJob, Foo; from jobcron import Database\n"
        f"with Database({instance.url!r}).session() as session:\n"
        "    foo = Foo(); session.add(foo); session.flush()\n"
        "    ActJob.create(foo, session=session); session.commit()\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "pip install 'jobcron[celery]'" in done.stderr
    assert "Traceback" not in done.stderr
    instance.run("act")
    assert [row.status.name for row in instance.rows()] == ["COMPLETED"]
