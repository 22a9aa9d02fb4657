"""A section that falls silent is told of by the run of another one: once, and once when it is over."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from health_checks import SECTIONS, move
from instances import Instance, wait_until
from jobcron.scripts._telling.quiet_runs import NAME
from migrations import upgrade_again_from
from ticks import let_it_look

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

RECIPIENTS = "failure_recipients: ops@example.com\n"


@pytest.fixture
def silent(instance: Instance) -> Instance:
    """Return an instance with a section `act` whose last run was three hours ago, and one that runs once a day."""
    instance.configure(RECIPIENTS, SECTIONS.format(act=""))
    for section in ("act", "do_foo"):
        instance.command("run", section)
    move(instance, "jobcron_run", "date_completed", 3, "name = 'act'")
    move(instance, "jobcron_run", "date_started", 3, "name = 'act'")
    return instance


def look(instance: Instance, section: str = "do_foo") -> str:
    """Run another section as the first run in an interval; return the log."""
    age(instance, section)
    return instance.command("run", section)[1]


def age(instance: Instance, section: str = "do_foo") -> None:
    """Let a section's last run be so old that its next run is the first in an interval."""
    for column in ("date_started", "date_completed"):
        move(instance, "jobcron_run", column, 0.3, f"name = '{section}'")
    let_it_look(instance)


def mails(instance: Instance) -> list[EmailMessage]:
    """Return all mails, the oldest first."""
    paths = sorted((instance.path / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


def subjects(instance: Instance) -> list[str]:
    """Return the subjects of all mails, without what changes."""
    return [str(mail["Subject"]).partition(":")[0] for mail in mails(instance)]


IS_SILENT, IS_OVER = "Section act is silent", "Section act is no longer silent"


@pytest.mark.feature("LP-27")
def test_a_silent_section_is_told_of_once_and_once_when_it_has_run_again(silent: Instance) -> None:
    assert "WARNING The section act is silent: last run 3:00:" in look(silent)
    assert look(silent) == ""
    assert subjects(silent) == [IS_SILENT]
    mail = mails(silent)[0]
    assert mail["To"] == "ops@example.com"
    text = mail.get_content()
    for part in ("jobcron why --section act", "A run of the section do_foo on ", "failure_recipients"):
        assert part in text
    silent.command("run", "act")
    assert subjects(silent) == [IS_SILENT]
    assert "INFO    The section act is no longer silent: last run 0:00:" in look(silent)
    look(silent)
    assert subjects(silent) == [IS_SILENT, IS_OVER]
    assert silent.query("SELECT * FROM jobcron_silence") == []


def test_a_section_has_recipients_of_its_own_and_without_any_only_the_log_tells(silent: Instance) -> None:
    silent.configure(RECIPIENTS, SECTIONS.format(act="failure_recipients: shop@example.com"))
    look(silent)
    assert [mail["To"] for mail in mails(silent)] == ["shop@example.com"]
    silent.query("DELETE FROM jobcron_silence")
    silent.configure(sections=SECTIONS.format(act=""))
    assert "The section act is silent" in look(silent)
    assert look(silent) == ""
    assert len(mails(silent)) == 1


def test_a_run_that_is_not_the_first_in_its_interval_does_not_look(silent: Instance) -> None:
    look(silent)
    silent.query("DELETE FROM jobcron_silence")
    assert silent.command("run", "do_foo")[1] == ""
    assert silent.query("SELECT * FROM jobcron_silence") == []


@pytest.mark.parametrize(
    "act", ["alert_silence: none", "alert_silence: 1h 5h", "alert_silence: 4h 5h", "schedule: @daily"]
)
@on_sqlite
def test_the_limit_is_the_critical_one_of_alert_silence(silent: Instance, act: str) -> None:
    silent.configure(RECIPIENTS, SECTIONS.format(act=act))
    assert look(silent) == ""
    silent.configure(RECIPIENTS, SECTIONS.format(act="alert_silence: 1h 2h"))
    assert "The section act is silent" in look(silent)


@on_sqlite
def test_a_section_that_has_never_run_is_not_silent(silent: Instance) -> None:
    silent.query("DELETE FROM jobcron_run WHERE name = 'act'")
    assert look(silent) == ""


def test_a_section_whose_job_is_running_is_not_silent(silent: Instance, tmp_path: Path) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go on"
    silent.act(("touch", str(started)), ("wait_for", str(go_on)))
    with silent.start("act") as run:
        try:
            wait_until(started.exists, "the job")
            assert look(silent) == ""
        finally:
            go_on.touch()
            run.communicate(timeout=60)


@pytest.mark.parametrize("paused", ["--section act", "--type foo_job.ACT"])
def test_what_is_paused_is_not_silent_until_the_pause_ends(silent: Instance, paused: str) -> None:
    silent.command("pause", *paused.split())
    assert "is silent" not in look(silent)
    silent.command("unpause", *paused.split())
    assert "The section act is silent" in look(silent)


@on_sqlite
@pytest.mark.parametrize(("name", "act"), [("act", ""), ("process-job-sources", "crontab_group: FREQUENT")])
def test_what_the_control_file_switches_off_is_not_silent(silent: Instance, name: str, act: str) -> None:
    control = silent.path / "control.ini"
    control.write_text(f"[{name}]\nenabled: false\n")
    silent.configure(f"{RECIPIENTS}cron_control: {control}\n", SECTIONS.format(act=act))
    assert look(silent) == ""
    control.write_text("")
    assert "The section act is silent" in look(silent)


@on_sqlite
def test_after_an_outage_of_all_sections_the_first_run_tells_of_none(silent: Instance) -> None:
    for column in ("date_started", "date_completed"):
        move(silent, "jobcron_run", column, 40, "name = 'do_foo'")
    assert silent.command("run", "do_foo")[1] == ""
    assert "The section act is silent" in look(silent)


def test_a_mail_that_cannot_be_sent_is_tried_again_after_a_pause(silent: Instance) -> None:
    (silent.path / "mail").write_text("a file, no folder")
    log = look(silent)
    assert "The section act is silent" in log
    assert "Nobody could be told that: " in log
    assert look(silent) == ""  # it is soon after
    (silent.path / "mail").unlink()
    move(silent, "jobcron_silence", "due", 0.2)
    look(silent)
    look(silent)
    assert subjects(silent) == [IS_SILENT]
    silent.command("run", "act")
    (silent.path / "mail").rename(silent.path / "kept")
    (silent.path / "mail").write_text("a file, no folder")
    look(silent)
    (silent.path / "mail").unlink()
    (silent.path / "kept").rename(silent.path / "mail")
    move(silent, "jobcron_silence", "due", 0.2)
    look(silent)
    assert subjects(silent) == [IS_SILENT, IS_OVER]


@on_sqlite
def test_the_end_of_a_silence_of_which_nobody_was_told_is_not_told(silent: Instance) -> None:
    (silent.path / "mail").write_text("a file, no folder")
    look(silent)
    (silent.path / "mail").unlink()
    silent.command("run", "act")
    move(silent, "jobcron_silence", "due", 0.2)
    assert look(silent) == ""
    assert silent.query("SELECT * FROM jobcron_silence") == []


def test_of_several_processes_that_look_at_once_one_tells(silent: Instance) -> None:
    names = [f"other{number}" for number in range(4)]
    others = "".join(f"[{name}]\nsource_interface: fooapp.IDoFooJobSource\n" for name in names)
    silent.configure(f"{RECIPIENTS}", f"{SECTIONS.format(act='')}\n{others}")
    for expected in ([IS_SILENT], [IS_SILENT, IS_OVER]):
        processes = [silent.start(name) for name in names]
        for process in processes:
            process.communicate(timeout=60)
        assert subjects(silent) == expected
        silent.command("run", "act")
        for name in names:
            age(silent, name)
        (silent.state / NAME).unlink()  # it is everybody's turn


@on_postgresql
def test_a_role_that_could_run_before_an_upgrade_looks_after_it(silent: Instance) -> None:
    upgrade_again_from(silent, "0010")
    silent.configure(RECIPIENTS, SECTIONS.format(act="") + "dbuser: foo_runner\n")  # of do_foo, the last one
    assert "The section act is silent" in look(silent)


@on_postgresql
def test_a_role_without_rights_runs_all_the_same_and_says_what_it_cannot_do(silent: Instance) -> None:
    silent.query("REVOKE ALL ON jobcron_silence FROM jobcron_runner, jobcron_reader")
    silent.configure(RECIPIENTS, SECTIONS.format(act="") + "dbuser: foo_runner\n")
    log = look(silent)
    assert "Silent sections could not be looked for: " in log
    assert "permission denied for table jobcron_silence" in log
