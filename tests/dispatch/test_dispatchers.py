"""Which dispatcher a section has, and what is said of mistakes (LP-32)."""

from __future__ import annotations

import pytest

import dispatchapp
from instances import Instance
from jobcron import ConfigurationError, IDispatcher
from jobcron.dispatch import dispatchers, known
from jobcron.dispatch.dispatchers import Dispatchers, current_dispatchers
from jobcron.settings.instance import load_settings, presented


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what dispatchers have logged."""
    return [record.getMessage() for record in caplog.records if record.name == "jobcron.dispatch"]


def test_a_section_has_the_dispatcher_that_its_key_names(offering: Instance) -> None:
    found = Dispatchers(load_settings(str(offering.path)))
    act = found.of_section("act")
    assert act is found.of_source(["fooapp.Other", "fooapp.IActJobSource"])
    assert act is not None
    assert act.is_automatic
    assert IDispatcher.providedBy(act.made())
    assert act.made().status() == "noted: 0"
    assert found.of_section("do_foo") is None


def test_a_process_without_an_instance_has_no_dispatchers_and_a_script_those_of_its_own(
    offering: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(str(offering.path))
    monkeypatch.delenv("JOBCRON_CONFIG")
    assert current_dispatchers() is None
    with presented(settings):
        found = current_dispatchers()
        assert found is not None
        assert found.settings is settings
        assert current_dispatchers() is found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_instance_that_cannot_be_read_is_told_once_and_jobs_are_created(
    offering: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    (offering.path / "jobcron.conf").write_text("[jobcron]\nno_such_key: 1\n")
    numbers = [offering.act(), offering.act()]
    assert len(set(numbers)) == 2
    (text,) = told(caplog)
    assert "no_such_key" in text
    assert dispatchapp.offered == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("dispatch", "expected"),
    [
        ("celery", "key dispatch: expected the key celery_broker_url in .* got neither"),
        ("dispatchapp:Nothing", "key dispatch: .*Nothing"),
        ("nowhere:Noting", "key dispatch: .*nowhere"),
    ],
)
def test_a_dispatcher_that_cannot_be_made_is_told_with_the_key_that_names_it(
    offering: Instance, dispatch: str, expected: str
) -> None:
    offering.configure(sections=dispatchapp.SECTIONS.replace("dispatchapp:Noting", dispatch))
    found = Dispatchers(load_settings(str(offering.path))).of_section("act")
    assert found is not None
    with pytest.raises(ConfigurationError, match=expected):
        found.made()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_dispatcher_that_has_failed_is_asked_again_later(
    offering: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatchers, "REST_SECONDS", 0.0)
    dispatchapp.errors.append(OSError("away"))
    offering.act()
    number = offering.act()
    assert dispatchapp.offered == [("act", [number])]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_sections_of_one_broker_rest_together_and_others_do_not(
    offering: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(known.KNOWN, "celery", known.Known("dispatchapp:Noting", withdraws=True))  # no broker
    more = "celery_broker_url: redis://127.0.0.1:1/0\n"
    own = "[creating]\nsource_interface: fooapp.NoJob\ndispatch: dispatchapp:Noting\n"
    sections = dispatchapp.SECTIONS.replace("dispatch: dispatchapp:Noting", "dispatch: celery")
    offering.configure(more, sections + own)
    found = Dispatchers(load_settings(str(offering.path), asks_application=False))
    act, do_foo, other = (found.of_section(name) for name in ("act", "do_foo", "creating"))
    assert act is not None
    assert do_foo is not None
    assert other is not None
    dispatchapp.errors.append(OSError("silent"))
    assert [act.offer([1]), do_foo.offer([2]), other.offer([3])] == [False, False, True]
    assert dispatchapp.offered == [("creating", [3])]
