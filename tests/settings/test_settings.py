"""Settings: what a section and an instance have, with which defaults."""

from __future__ import annotations

import pytest

from configurations import GOOD, JOBS, Write
from jobcron import ConfigurationError
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import Settings


@pytest.mark.feature("LP-29")
def test_every_value_is_read_with_its_type(write: Write) -> None:
    path = write(
        "[jobcron]\ndatabase_url: postgresql+psycopg2://me@db/app\napplication: my.app:register\n"
        "job_packages: my.jobs my.more\n"
        "transactions: zope\n"
        "python_path: lib /opt/lib\nstate_dir: /var/lib/s\nlock_dir: locks\nerror_dir: oopses\noops_prefix: X1\n"
        "mail: smtp://localhost:2525\nmail_from: a@example.com\nfailure_recipients: ops root@b.example\n"
        "activity_interval: 1h30m\ngrace_seconds: 5s\n"
        "crash_limit: 7\ninstances: ../*/jobcron.conf /srv/*\n"
        "cron_control: control.ini\nwatch_scripts: prune-jobs 2d nightly 90m\n"
        "metrics_dir: prom\nmetrics_hook: a.b:c.d\ncelery_broker_url: amqp://me@broker/app\n[do_foo]\n"
        "source_interface: a.b.IC\ndbuser: foo\nrunner_class: x.Y\nbatch_size: 3\n"
        "oops_prefix: F\nerror_dir: own\nschedule: 0  2 * * *\ncrontab_group: MAIN\nmax_runtime: 2m\n"
        "keep_functions: a.b.c 1d\n    export-one 1m e none\n"
    )
    found = load_settings(str(path))
    here = str(path.parent)
    assert found._replace(sections={}) == Settings(
        schedules={},
        channels={},
        path=str(path),
        database_url="postgresql+psycopg2://me@db/app",
        database_origin=f"{path}: section [jobcron], key database_url",
        application="my.app:register",
        job_packages=["my.jobs", "my.more"],
        transactions="zope",
        python_path=[f"{here}/lib", "/opt/lib"],
        state_dir="/var/lib/s",
        lock_dir=f"{here}/locks",
        error_dir=f"{here}/oopses",
        oops_prefix="X1",
        oops_publishers=["files"],
        oops_level="WARNING",
        mail="smtp://localhost:2525",
        mail_from="a@example.com",
        failure_recipients=["ops", "root@b.example"],
        activity_interval=5400.0,
        notify=False,
        instances=[f"{path.parent.parent}/*/jobcron.conf", "/srv/*"],
        grace_seconds=5.0,
        crash_limit=7,
        security_cfg=None,
        keep_completed=30 * 86400.0,
        keep_failed=180 * 86400.0,
        keep_cancelled=30 * 86400.0,
        keep_events=180 * 86400.0,
        keep_runs=90 * 86400.0,
        keep_oopses=180 * 86400.0,
        cron_control=f"{here}/control.ini",
        watch_scripts={"prune-jobs": 2 * 86400.0, "nightly": 5400.0},
        metrics_dir=f"{here}/prom",
        metrics_hook="a.b:c.d",
        celery_broker_url="amqp://me@broker/app",
        sections={},
    )
    assert found.section("do_foo")._asdict() == {
        "name": "do_foo",
        "source_interface": "a.b.IC",
        "dbuser": "foo",
        "runner_class": "x.Y",
        "max_workers": 1,
        "batch_size": 3,
        "schedule": "0 2 * * *",
        "crontab_group": "MAIN",
        "max_runtime": 120.0,
        "lock": "host",
        "lock_lease": 60.0,
        "wait_for_code": 3 * 86400.0,
        "oops_prefix": "F",
        "error_dir": f"{here}/own",
        "failure_recipients": ["ops", "root@b.example"],  # as [jobcron] says, like the next three
        "keep_completed": 30 * 86400.0,
        "keep_failed": 180 * 86400.0,
        "keep_cancelled": 30 * 86400.0,
        "keep_functions": {"a.b.c": 86400.0, "export-one": 60.0, "e": None},
        "keep_newest_of_target": False,
        "alert_silence": "auto",
        "alert_waiting": [1800.0, 7200.0],
        "alert_failures": [10, 100],
        "alert_running": "auto",
        **dict.fromkeys(
            (
                "functions",
                "tasks",
                "creation_hook",
                "failure_hook",
                "pre_task_hook",
                "post_task_hook",
                "queue",
                "channel",
                "ping_url",
                "dispatch",
                "dispatch_queue",
            )
        ),
    }


def test_none_in_a_section_means_nothing_and_inherit_what_the_instance_says(write: Write) -> None:
    path = write(
        GOOD.replace("[jobcron]\n", "[jobcron]\nfailure_recipients: ops\nkeep_failed: 2d\n")
        + "[quiet]\nsource_interface: a.b\nfailure_recipients: none\nkeep_failed: none\n"
        + "[loud]\nsource_interface: a.b\nfailure_recipients: inherit\nkeep_failed: inherit\n"
    )
    settings = load_settings(str(path))
    assert [settings.recipients_of(name) for name in ("quiet", "loud", None)] == [[], ["ops"], ["ops"]]
    assert [settings.section(name).keep_failed for name in ("quiet", "loud")] == [None, 2 * 86400.0]


@pytest.mark.feature("DBQ-01", "LP-29")
def test_a_section_may_list_tasks_instead_of_a_source(write: Write) -> None:
    path = write(
        GOOD + "[import_cats]\ntasks: a.b.first\n    a.b.second\ncreation_hook: a.made\nfailure_hook: a.failed\n"
        "pre_task_hook: a.before\npost_task_hook: a.after\nqueue: cats\n[cat_queue]\nqueue: cats\n"
    )
    found = load_settings(str(path)).section("import_cats")
    assert found.tasks == ["a.b.first", "a.b.second"]
    assert (found.creation_hook, found.failure_hook) == ("a.made", "a.failed")
    assert (found.pre_task_hook, found.post_task_hook, found.queue) == ("a.before", "a.after", "cats")
    assert found.source_interface == "jobcron.steps.sections.import_cats"
    assert load_settings(str(path)).section("cat_queue").source_interface == "jobcron.steps.queues.cats"


@pytest.mark.feature("LP-29")
def test_what_is_not_said_has_the_defaults_of_the_schema(write: Write) -> None:
    path = write(GOOD + "[do_foo]\n")
    found = load_settings(str(path))
    here = str(path.parent)
    assert (found.state_dir, found.lock_dir) == (f"{here}/state", f"{here}/state/locks")
    assert (found.error_dir, found.oops_prefix) == (f"{here}/state/oops", "J")
    assert (found.mail, found.mail_from) == (None, "jobcron@localhost")
    assert (found.activity_interval, found.grace_seconds, found.crash_limit) == (600.0, 30.0, 3)
    assert (found.application, found.python_path) == (None, None)
    section = found.section("do_foo")
    assert (section.source_interface, section.dbuser, section.error_dir) == (None, None, None)
    assert (section.runner_class, section.batch_size) == ("JobRunner", 100)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("name", ["development", "testrunner", "production"])
def test_the_instances_that_come_along_are_right(name: str) -> None:
    found = load_settings(name)
    assert found.instance == name
    assert "generate_diff" in found.sections


@pytest.mark.feature("LP-29")
def test_a_section_that_is_not_there_is_named_with_those_that_are(write: Write) -> None:
    path = write(GOOD + JOBS + "[do_bar]\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(path)).section("do_baz")
    for expected in (str(path), "[do_baz]", "do_bar, do_foo"):
        assert expected in str(caught.value)
