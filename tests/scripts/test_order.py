"""What a run is to do: sections, sources and runners that cannot be had are refused."""

from __future__ import annotations

import pytest

from instances import Instance
from script_runs import do_foo, refused, untouched

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.feature("LP-29")
@on_sqlite
def test_an_unknown_section_is_refused(instance: Instance) -> None:
    job = do_foo(instance)
    message = refused(instance, "do_bar", expect=2)
    for part in (f"{instance.path}/jobcron.conf", "[do_bar]", "do_foo"):
        assert part in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("name", ["../../etc/passwd", "jobcron", "meta", "job_section", "do_foo.lock", "\x1b[31m"])
@on_sqlite
def test_what_is_no_section_of_jobs_is_refused_before_it_meets_a_path(instance: Instance, name: str) -> None:
    message = refused(instance, name, expect=2)
    assert "found none" in message
    assert "\x1b" not in message
    assert not (instance.state / "locks").exists()


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_configuration_without_sections_is_refused(instance: Instance) -> None:
    instance.configure(sections="")
    assert "the sections of jobs are: none" in refused(instance, expect=2)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("nonsense: 1", "unknown key nonsense"),
        ("crash_limit: many", "key crash_limit: expected a whole number"),
        ("activity_interval: 99999999999999d", "key activity_interval: expected a time"),
    ],
)
@on_sqlite
def test_a_wrong_key_is_refused(instance: Instance, line: str, part: str) -> None:
    job = do_foo(instance)
    instance.configure(f"{line}\n")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "[jobcron]", part):
        assert expected in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_missing_instance_is_refused(instance: Instance) -> None:
    message = refused(instance, expect=2, env={"JOBCRON_CONFIG": "/no/such/place"})
    assert "JOBCRON_CONFIG" in message
    assert "/no/such/place" in message


@pytest.mark.feature("LP-29", "LP-12")
@pytest.mark.parametrize(
    ("interface", "part"),
    [
        ("", "expected the dotted name of a source interface or of a job class, got nothing"),
        ("no_such_module.IFoo", "expected the module no_such_module to be importable"),
        ("fooapp.no_such_module.IFoo", "expected the module fooapp.no_such_module to be importable"),
        ("fooapp.INoSuch", "expected INoSuch in fooapp to be an interface or a job class, found no such name"),
        ("INoModule", "of an interface or a job class, got: INoModule"),
        ("fooapp.INobodysSource", "expected somebody to provide fooapp.INobodysSource, found nobody"),
        ("fooapp.Foo", "expected an interface or a class with iterReady, got fooapp.Foo"),
    ],
)
@on_sqlite
def test_a_source_that_is_not_to_be_had_is_refused(instance: Instance, interface: str, part: str) -> None:
    job = do_foo(instance)
    instance.configure(sections=f"[do_foo]\nsource_interface: {interface}\n")
    message = refused(instance, expect=2)
    for expected in (f"{instance.path}/jobcron.conf", "section [do_foo]", "key source_interface", part):
        assert expected in message
    if "Nobody" in interface:
        assert "[jobcron] application" in message  # how the application is named
        assert "(now: fooapp:register)" in message
    untouched(instance, job)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_runner_class_that_is_not_to_be_had_is_refused(instance: Instance) -> None:
    job = do_foo(instance)
    for name, found in {
        "NoSuchRunner": "got: NoSuchRunner",
        "no_such_module.Runner": "found no module no_such_module",
        "fooapp.Foo": "found the class fooapp.Foo",
    }.items():
        instance.configure(sections=f"[do_foo]\nsource_interface: fooapp.IDoFooJobSource\nrunner_class: {name}\n")
        message = refused(instance, expect=2)
        for part in (f"{instance.path}/jobcron.conf", "section [do_foo], key runner_class", found):
            assert part in message
    untouched(instance, job)
