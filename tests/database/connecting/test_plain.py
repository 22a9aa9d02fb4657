"""Plain connections: of the driver that the URL names, as the URL says, and one text at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from select import select

import pytest

from instances import Instance
from jobcron.database.connecting.plain import Plain, errors_of
from jobcron.errors import ConfigurationError

pytestmark = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)


@pytest.fixture
def plain(instance: Instance) -> Iterator[Plain]:
    """Return a connection to the instance's database."""
    with closing(Plain(instance.url)) as plain:
        yield plain


def test_the_first_row_of_the_last_of_several_statements_is_returned(plain: Plain) -> None:
    text = "SET LOCAL statement_timeout = '7s'; SELECT %(a)s, 'b%%', true"
    assert plain.ask(text, {"a": "é"}) == ("é", "b%", True)
    assert plain.ask("SELECT current_setting('statement_timeout')") == ("0",)  # it was LOCAL
    assert plain.ask("SET application_name = 'mine'") is None
    assert plain.ask("SELECT 1 WHERE false") is None


def test_a_role_replaces_the_url_s_user_and_its_password(instance: Instance) -> None:
    with closing(Plain(instance.url, "foo_runner")) as other:
        assert other.ask("SELECT session_user") == ("foo_runner",)


def test_the_options_of_the_url_count_and_ours_where_it_has_none(instance: Instance) -> None:
    url = instance.url + "&application_name=mine&options=-c%20jit%3Doff"
    with closing(Plain(url)) as plain:
        assert plain.ask("SELECT current_setting('application_name'), current_setting('jit')") == ("mine", "off")


def test_notifications_are_drained(plain: Plain, instance: Instance) -> None:
    plain.ask("LISTEN jobcron")
    assert not select([plain], [], [], 0)[0]
    instance.query("SELECT pg_notify('jobcron', '')")
    assert select([plain], [], [], 5)[0]
    plain.drain()
    assert not select([plain], [], [], 0)[0]


def test_what_the_server_refuses_is_one_of_the_driver_s_errors(plain: Plain, instance: Instance) -> None:
    with pytest.raises(errors_of(instance.url), match="no_such_table"):
        plain.ask("SELECT * FROM no_such_table")
    instance.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with pytest.raises(errors_of(instance.url)):
        plain.ask("SELECT 1")
    with pytest.raises(errors_of(instance.url)):
        Plain(f"{instance.url.partition('@')[0]}@127.0.0.1:1/x")


def test_a_driver_that_is_not_installed_is_named_with_its_extra_and_the_url_for_the_other(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "psycopg" if "+psycopg:" in instance.url else "psycopg2"
    extra = {"psycopg": "psycopg", "psycopg2": "postgresql"}[name]
    other = {"psycopg": "psycopg2 write postgresql://", "psycopg2": r"psycopg 3 write postgresql\+psycopg://"}[
        name
    ]
    message = rf"expected the driver {name}, .* extra jobcron\[{extra}\]; for {other}$"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, name, None)
        with pytest.raises(ConfigurationError, match=message):
            errors_of(instance.url)


def test_a_run_without_the_driver_says_in_a_line_which_extra_brings_it(instance: Instance) -> None:
    name = "psycopg" if "+psycopg:" in instance.url else "psycopg2"
    broken = instance.path / "broken"
    broken.mkdir()
    (broken / f"{name}.py").write_text("raise ImportError('no pq wrapper available')\n")
    job = instance.act()
    instance.configure(sections="[act]\nsource_interface: fooapp.ActJob\n")
    for command in (("run", "act"), ("jobs",), ("check-config",)):
        out, err = instance.command(*command, expect=2, extra_env={"PYTHONPATH": str(broken)})
        said = [line for line in (out + err).splitlines() if "expected the driver" in line]
        assert said, out + err
        assert f"{instance.path}/jobcron.conf: section [jobcron], key database_url: expected the driver" in said[0]
        assert f"expected the driver {name}, which database_url asks for, got: no pq wrapper available" in said[0]
        assert "Traceback" not in out + err
    assert instance.row(job).attempt_count == 0
