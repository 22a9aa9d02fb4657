"""Fixtures of the tests of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from selenium.webdriver import Chrome

import fooapp
from browsers import chromium
from compiled_templates import compile_templates_once
from instances import Instance
from jobcron import chain, group, load_settings
from jobcron.operations.acts import Bulk, act_on_selection, postpone
from jobcron.operations.pauses import Scope, pause
from jobcron.operations.processes.channels import set_limits
from jobcron.operations.selection import Selection
from jobcron.web import application
from jobcron.web.mounting import close
from schedules import Scheduled
from web_pages import Visitor

OPERATOR = {"REMOTE_USER": "ada"}
READER = {"REMOTE_USER": "ben"}


def role_of(environ: dict[str, object]) -> str | None:
    """Let ada act, ben look, and nobody else in."""
    return {"ada": "operator", "ben": "reader"}.get(str(environ.get("REMOTE_USER")))


compile_templates_once()


@pytest.fixture
def app(instance: Instance) -> Iterator[Flask]:
    """Return the dashboard of an instance."""
    fooapp.register()
    made = application(str(instance.path), authorize=role_of)
    yield made
    close(made)


@pytest.fixture
def ada(app: Flask) -> Visitor:
    """Return an operator."""
    return Visitor(app, OPERATOR)


@pytest.fixture
def ben(app: Flask) -> Visitor:
    """Return a reader."""
    return Visitor(app, READER)


@pytest.fixture
def failed(instance: Instance) -> int:
    """Return a job that has failed, with long texts."""
    long = "Draw the map of " + "x" * 300
    number = instance.act(("raise", "password"), description=long, requester="ada")
    instance.run("act")
    instance.act(("write", "x"))
    return number


@pytest.fixture
def full(instance: Instance, failed: int) -> dict[str, object]:
    """Return what stands for parts of addresses, in an instance that has something for each page and each form."""
    settings = (instance.path / "jobcron.conf").read_text()
    scheduled = Scheduled(instance)
    scheduled.define()
    scheduled.run()
    (instance.path / "jobcron.conf").write_text(settings)
    with instance.session() as session:
        planned = [fooapp.DoFooJob.planned(instance.foo(session)) for _ in range(4)]
        made = chain(group(*planned[:2]), *planned[2:]).create(session=session)
    limits = {"capacity": 3, "per_key": None, "throttle": 2, "period": 60.0, "sequential": None}
    with instance.database.begin() as connection:
        set_limits(connection, "root.export", limits)
        set_limits(connection, "root.ordered", {**dict.fromkeys(limits), "sequential": "channel"})
        pause(connection, load_settings(str(instance.path)), Scope.QUEUE, "letters", reason="why " * 100)
    how = Bulk(actor="carl", reason="<later>")
    list(
        act_on_selection(instance.database, postpone(timedelta(hours=1)), Selection(ids=(made[planned[0]],)), how)
    )
    instance.act(("raise", "value"), channel="root.ordered")
    instance.run("act")
    running = instance.act(channel="root.export", channel_key="a customer")
    instance.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, claimed_by = 'far.example:7', attempt_count = 1, "
        "progress = 40, date_started = date_created, lease_expires = date_created WHERE id = :id", id=running,
    )  # fmt: skip
    instance.query(
        "INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving, "
        "started, seen, silent_after) SELECT 'far.example:9', 'far.example', 9, '1.0', 'act', 1, 2, :no, "
        "date_created, date_created, date_created FROM jobcron_job WHERE id = :id", id=running, no=False,
    )  # fmt: skip
    return {
        "job": failed,
        "member": made[planned[2]],
        "report": instance.row(failed).oops_id,
        "running": running,
        "act": instance.query("SELECT id FROM jobcron_act WHERE name = 'postpone'")[0][0],
    }


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a browser, one for all tests of a process."""
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found
