"""Dispatchers that come with jobcron are asked for what they can do, and else left alone (LP-32)."""

from __future__ import annotations

import os
import subprocess
import sys

from celery_workers import configure
from instances import Instance
from jobcron.dispatch.known import dispatcher_named, name_for
from jobcron.dispatch.offers import note_offers
from jobcron.settings.instance import load_settings


def test_a_short_name_stands_for_a_dispatcher_of_ours_and_any_other_for_itself() -> None:
    assert dispatcher_named("celery").factory == "jobcron.celery.sender:CeleryDispatcher"
    own = dispatcher_named("dispatchapp:Noting")
    assert (own.factory, own.withdraws) == ("dispatchapp:Noting", True)


def test_a_section_without_the_key_has_celery_on_request_only_where_the_instance_has_a_broker(
    instance: Instance,
) -> None:
    without = load_settings(str(instance.path))
    assert name_for(without.section("act"), without) is None
    configure(instance, "amqp://127.0.0.1:9//", "[act]\nsource_interface: fooapp.IActJobSource\n")
    settings = load_settings(str(instance.path))
    assert name_for(settings.section("act"), settings) == "celery"


def test_a_run_that_finds_offers_to_celery_of_ended_jobs_removes_them_without_celery(
    instance: Instance,
) -> None:
    number = instance.act()
    instance.run("act")
    configure(instance, "amqp://127.0.0.1:9//")
    with instance.database.begin() as connection:
        note_offers(connection, [number], "act", "celery")
    code = (
        "import sys; sys.modules['celery'] = sys.modules['kombu'] = None\n"
        "from jobcron.commands.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "run", "do_foo", "--config", str(instance.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "withdrawn" not in done.stderr
    assert instance.query("SELECT job FROM jobcron_offer") == []
