"""Pings tell a monitoring service of runs, and never fail one."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from instances import Instance
from jobcron import JobStatus
from ping_service import service
from ticks import took_the_full_path

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def configure(instance: Instance, url: str) -> None:
    """Let a section ping a URL."""
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nping_url: {url}\n")


@on_sqlite
def test_a_process_of_a_worker_pings_at_its_end(instance: Instance) -> None:
    with service() as (url, asked):
        configure(instance, url)
        job = instance.act()
        instance.command("worker", "--until-empty", "--poll", "0.1")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [urlsplit(path).path for path in asked] == ["/uuid/0"]


def test_a_run_pings_at_its_start_and_at_its_end_with_one_run_id(instance: Instance) -> None:
    with service() as (url, asked):
        configure(instance, url)
        job = instance.act()
        instance.command("run", "act")
    assert instance.row(job).status is JobStatus.COMPLETED
    first, last = map(urlsplit, asked)
    assert (first.path, last.path) == ("/uuid/start", "/uuid/0")
    assert parse_qs(first.query) == parse_qs(last.query)
    assert parse_qs(first.query)["create"] == ["1"]
    UUID(parse_qs(first.query)["rid"][0])


@on_sqlite
def test_a_run_that_fails_pings_its_exit_status(instance: Instance, tmp_path: Path) -> None:
    with service() as (url, asked):
        configure(instance, url)
        path = instance.path / "jobcron.conf"
        path.write_text(path.read_text().replace(instance.url, f"sqlite:///{tmp_path}/none/none.db"))
        instance.command("run", "act", expect=1)
    assert [urlsplit(path).path for path in asked] == ["/uuid/start", "/uuid/1"]


@on_sqlite
def test_a_tick_with_nothing_to_do_sends_no_ping(instance: Instance) -> None:
    with service() as (url, asked):
        configure(instance, url)
        instance.command("run", "act")
        assert len(asked) == 2
        assert not took_the_full_path(instance, "act")
    assert len(asked) == 2


@on_sqlite
def test_a_service_that_refuses_or_is_not_there_fails_no_run(instance: Instance) -> None:
    with service(status=500) as (url, _):
        configure(instance, url)
        _, err = instance.command("run", "act")
    assert "INFO    The ping /start to 127.0.0.1 failed: HTTP Error 500" in err
    assert "uuid" not in err
    configure(instance, url)  # nobody listens there any more
    instance.act()
    _, err = instance.command("run", "act")
    assert "The ping /0 to 127.0.0.1 failed: " in err


@on_sqlite
def test_a_service_that_does_not_answer_delays_a_run_by_seconds_only(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(instance, f"http://127.0.0.1:{silent.getsockname()[1]}/uuid")
        job = instance.act()
        began = time.monotonic()
        instance.command("run", "act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert time.monotonic() - began < 60


@on_sqlite
@pytest.mark.parametrize(
    "url", ["ftp://host/uuid", "https:///uuid", "uuid", "https://me:secret@host/x", "http://h:x/"]
)
def test_a_wrong_url_is_refused(instance: Instance, url: str) -> None:
    configure(instance, url)
    _, err = instance.command("run", "act", expect=2)
    assert "section [act], key ping_url: expected an http: or https: URL with a host, without a password" in err
    assert "secret" not in err
