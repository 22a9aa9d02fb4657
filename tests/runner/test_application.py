"""The application: imported for a run, with its sources and its instance."""

from __future__ import annotations

import pytest

from guestapp import Customer, LetterJob, added
from instances import Instance
from jobcron import ConfigurationError, load_settings
from paths import APPS
from script_runs import do_foo, reconfigure, refused, untouched


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "class Again(B):\n    class_job_type = G.LETTER\n    def run(self): ...",
            "got two: guestapp.LetterJob and broken.Again",
        ),
        (
            "class Empty(B):\n    class_job_type = T.NEW",
            "expected broken.Empty, whose job type is T.NEW, to have a method run",
        ),
    ],
)
def test_a_class_that_cannot_be_a_job_type_is_a_message_of_the_script(
    guest: Instance, code: str, message: str
) -> None:
    (guest.path / "broken.py").write_text(
        "from jobcron import BaseRunnableJob as B, JobType\nfrom guestapp import GuestJobType as G\n"
        f"class T(JobType):\n    NEW = 1\n{code}\n"
    )
    path = guest.path / "jobcron.conf"
    path.write_text(
        path.read_text().replace("guestapp", "broken", 1).replace("python_path: ", f"python_path: {guest.path} ")
    )
    _, err = guest.command("run", "letter", expect=2)
    assert "key application: expected the module broken to be importable" in err
    assert message in err
    assert "Traceback" not in err


def test_an_application_finds_the_instance_that_the_script_was_given(guest: Instance) -> None:
    (guest.path / "asking.py").write_text(
        "from guestapp import LetterJob\nfrom jobcron import load_settings\n"
        "at_import = load_settings().path\n"
        "def run(self): self.metadata['paths'] = [at_import, load_settings().path]\n"
        "LetterJob.run = run\n"
    )
    conf = guest.path / "jobcron.conf"
    text = conf.read_text().replace("application: guestapp", "application: asking")
    conf.write_text(text.replace("python_path: ", f"python_path: {guest.path} "))
    with guest.session() as session:
        number = LetterJob.create(added(session, Customer()), template="a").id
    guest.command("--config", str(guest.path), "run", "letter", extra_env={"JOBCRON_CONFIG": "/nowhere/at/all"})
    assert guest.row(number).json_data["paths"] == [str(conf)] * 2
    conf.write_text(conf.read_text().replace("application: asking", "application: guestapp"))
    guest.run("letter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBCRON_CONFIG", "/nowhere/at/all")
        with pytest.raises(ConfigurationError):  # a script in a test leaves nothing behind
            load_settings()


@pytest.mark.parametrize("url", ["postgres://me@db/x", "postgresql://me@db/x"])
def test_an_application_can_hand_the_url_on(guest: Instance, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("JOBCRON_DATABASE_URL", url)
    assert load_settings(str(guest.path)).database_url == "postgresql+psycopg2://me@db/x"


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("application", "part"),
    [
        ("no_such_app", "expected the module no_such_app to be importable"),
        ("fooapp:no_such_callable", "expected no_such_callable in fooapp to be a callable"),
        ("fooapp:WRITE_NOTHING.deeper", "expected WRITE_NOTHING.deeper in fooapp to be a callable"),
        ("needs_more_app", "no_such_module"),
    ],
)
@on_sqlite
def test_an_application_that_cannot_be_imported_is_refused(
    instance: Instance, application: str, part: str
) -> None:
    job = do_foo(instance)
    (instance.path / "needs_more_app.py").write_text("import no_such_module\n")
    reconfigure(instance, application=application, python_path=f"{APPS} {instance.path}")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "section [jobcron], key application", part):
        assert expected in message
    untouched(instance, job)


@pytest.mark.feature("LP-26")
@on_sqlite
def test_an_application_that_is_broken_is_a_crash_with_a_report(instance: Instance) -> None:
    job = do_foo(instance)
    (instance.path / "brokenapp.py").write_text("1 / 0\n")
    reconfigure(instance, application="brokenapp", python_path=str(instance.path))
    _, err = instance.command("run", "do_foo", expect=1)
    assert "brokenapp.py" in err
    (report,) = instance.oopses()
    assert report.name in err
    untouched(instance, job)
