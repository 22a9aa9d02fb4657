"""Configuration: what is read, what is refused and how, and the compiled settings, never stale or poisoned."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobcron import ConfigurationError
from jobcron.settings._compiled import COMPILED_NAME
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import CONFIGS, Settings

GOOD = "[jobcron]\ndatabase_url: sqlite:///foo.db\nstate_dir: state\n"
JOBS = "[do_foo]\nsource_interface: fooapp.IDoFooJobSource\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a configuration and returns its file."""
    folder = tmp_path / "here"
    folder.mkdir()

    def write(text: str | bytes = GOOD, name: str = "jobcron.conf") -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(path: Path | str) -> str:
    """Return what is said of a configuration that is not read."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(path))
    assert type(caught.value) is ConfigurationError
    assert caught.value.exit_status == 2
    return str(caught.value)


@pytest.mark.feature("LP-29")
def test_every_value_is_read_with_its_type(write: Write) -> None:
    path = write(
        "[jobcron]\ndatabase_url: postgresql+psycopg2://me@db/app\napplication: my.app:register\n"
        "transactions: zope\n"
        "python_path: lib /opt/lib\nstate_dir: /var/lib/s\nlock_dir: locks\nerror_dir: oopses\noops_prefix: X1\n"
        "mail: smtp://localhost:2525\nmail_from: a@example.com\nactivity_interval: 1h30m\ngrace_seconds: 5s\n"
        "crash_limit: 7\ncron_control: control.ini\nmetrics_dir: prom\nmetrics_hook: a.b:c.d\n[do_foo]\n"
        "source_interface: a.b.IC\ndbuser: foo\nrunner_class: x.Y\nbatch_size: 3\n"
        "oops_prefix: F\nerror_dir: own\nschedule: 0  2 * * *\ncrontab_group: MAIN\nmax_runtime: 2m\n"
        "keep_functions: a.b.c 1d\n    export-one 1m e none\n"
    )
    found = load_settings(str(path))
    here = str(path.parent)
    assert found._replace(sections={}) == Settings(
        path=str(path),
        database_url="postgresql+psycopg2://me@db/app",
        database_origin=f"{path}: section [jobcron], key database_url",
        application="my.app:register",
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
        activity_interval=5400.0,
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
        metrics_dir=f"{here}/prom",
        metrics_hook="a.b:c.d",
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
        "oops_prefix": "F",
        "error_dir": f"{here}/own",
        "keep_completed": None,
        "keep_failed": None,
        "keep_cancelled": None,
        "keep_functions": {"a.b.c": 86400.0, "export-one": 60.0, "e": None},
        "alert_silence": "auto",
        "alert_waiting": [1800.0, 7200.0],
        "alert_failures": [10, 100],
        **dict.fromkeys(
            ("functions", "tasks", "creation_hook", "failure_hook", "pre_task_hook", "post_task_hook", "queue")
        ),
    }


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
def test_every_key_of_the_schema_has_a_comment_and_a_datatype() -> None:
    paragraphs = (Path(CONFIGS) / "schema.conf").read_text().split("\n\n")
    keys = [p for p in paragraphs if re.search(r"^[a-z_]+: ", p, re.MULTILINE)]
    assert len(keys) > 15
    for paragraph in keys:
        assert re.search(r"^# datatype: \w+\n[a-z_]+: \S.*$", paragraph, re.MULTILINE), paragraph
    assert (
        len([p for p in keys if not re.search(r"^# (?!datatype)", p, re.MULTILINE)]) <= 1
    )  # "prefix and directory"


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


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("text", "section", "line"),
    [(GOOD + "nonsense: 1\n", "jobcron", 4), (GOOD + JOBS + "nonsense: 1\n", "do_foo", 6)],
)
def test_an_unknown_key_is_refused_with_file_section_key_and_line(
    write: Write, text: str, section: str, line: int
) -> None:
    path = write(text)
    message = refusal(path)
    for expected in (f"{path}, line {line}:", f"[{section}]", "unknown key nonsense", "expected one of:"):
        assert expected in message
    assert ("source_interface" if section == "do_foo" else "database_url") in message


@pytest.mark.feature("LP-29")
def test_an_unknown_key_of_an_extended_file_is_refused_with_that_file(write: Write) -> None:
    base = write(GOOD + "nonsense: 1\n", "base.conf")
    message = refusal(write("[meta]\nextends: base.conf\n"))
    assert f"{base}, line 4:" in message
    assert "nonsense" in message


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("indent", ["", "  "])
def test_a_key_that_is_indented_is_a_key_like_others(write: Write, indent: str) -> None:
    message = refusal(write(GOOD + f"[do_foo]\n{indent}nonsense: 1\n"))
    assert "do_foo" in message
    assert "nonsense" in message


WRONG = [
    ("database_url", "nonsense", "URL"),
    ("database_url", "mysql://h/db", "sqlite or postgresql"),
    ("database_url", "postgresql://u@h:abc/db", "URL"),
    ("database_url", "sqlite://", "a database in a file"),
    ("database_url", "sqlite:///:memory:", "a database in a file"),
    ("activity_interval", "soon", "a time such as 30s"),
    ("activity_interval", "10", "a time such as 30s"),
    ("activity_interval", "-5m", "a time such as 30s"),
    ("activity_interval", "99999999999999d", "a time such as 30s"),
    ("crash_limit", "0", "a whole number, at least 1"),
    ("crash_limit", "-1", "a whole number, at least 1"),
    ("crash_limit", "1.5", "a whole number, at least 1"),
    ("crash_limit", "many", "a whole number, at least 1"),
    ("crash_limit", "9999999999", "a whole number"),
    ("oops_prefix", "a/b", "a letter, then letters, digits"),
    ("oops_prefix", "1a", "a letter, then letters, digits"),
    ("oops_prefix", "a" * 65, "64 at most"),
    ("application", "my app", "a module, or module:callable"),
    ("application", "app:1", "a module, or module:callable"),
    ("application", "os;rm", "a module, or module:callable"),
    ("mail", "sendmail", "none, file:DIRECTORY or smtp://host:port"),
    ("mail", "file:", "none, file:DIRECTORY or smtp://host:port"),
    ("mail", "smtp:localhost", "none, file:DIRECTORY or smtp://host:port"),
    ("mail", "smtp://localhost:abc", "none, file:DIRECTORY or smtp://host:port"),
    ("state_dir", "a\0b", "a directory"),
    ("error_dir", "a\0b", "a directory"),
]


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(("key", "value", "expected"), WRONG, ids=lambda value: repr(value)[:30])
def test_a_value_of_the_wrong_type_is_refused_in_full(write: Write, key: str, value: str, expected: str) -> None:
    path = write("".join(line for line in GOOD.splitlines(True) if key not in line) + f"{key}: {value}\n")
    message = refusal(path)
    for part in (f"{path}: section [jobcron], key {key}: ", expected):
        assert part in message
    assert "\0" not in message


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("source_interface", "not a name", "a dotted name"),
        ("source_interface", "a..b", "a dotted name"),
        ("source_interface", "../a", "a dotted name"),
        ("runner_class", "x y", "a dotted name"),
        ("batch_size", "0", "a whole number, at least 1"),
        ("oops_prefix", "../x", "a letter, then letters, digits"),
    ],
)
def test_a_wrong_value_of_a_section_is_refused_in_full(write: Write, key: str, value: str, expected: str) -> None:
    path = write(f"{GOOD}[do_foo]\n{key}: {value}\n")
    message = refusal(path)
    for part in (f"{path}: section [do_foo], key {key}: expected ", expected, f"got: {value}"):
        assert part in message


@pytest.mark.feature("LP-29")
def test_a_driver_that_we_do_not_use_is_refused(write: Write) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", "postgresql+nodriver://u@h/db"))
    message = refusal(path)
    assert f"{path}: section [jobcron], key database_url: " in message
    assert "nodriver" in message


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "line",
    [
        "mail: smtps://me:c4nary-pw@localhost",
        "database_url: mysql://me:c4nary-pw@localhost/db",
        "database_url: postgresql://me:c4nary-pw@localhost:abc/db",
    ],
)
def test_a_message_does_not_show_a_password(write: Write, line: str) -> None:
    key = line.partition(":")[0]
    text = "".join(each for each in GOOD.splitlines(True) if key not in each)
    assert "c4nary" not in refusal(write(f"{text}{line}\n"))


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", ["database_url", "state_dir"])
def test_what_an_instance_cannot_do_without_is_asked_for(write: Write, key: str) -> None:
    text = "".join(line for line in GOOD.splitlines(True) if key not in line)
    path = write(text + JOBS)
    assert f"{path}: section [jobcron], key {key}: expected" in refusal(path)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", ["database_url", "state_dir"])
def test_a_required_key_that_an_extended_file_empties_is_asked_for(write: Write, key: str) -> None:
    write(GOOD, "base.conf")
    path = write(f"[meta]\nextends: base.conf\n[jobcron]\n{key}: none\n")
    assert f"{path}: section [jobcron], key {key}: expected" in refusal(path)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "more", ["state_dir: other\n", "[do_foo]\n[jobcron]\nstate_dir: other\n"], ids=["at once", "section reopened"]
)
def test_a_key_given_twice_is_refused_with_both_lines(write: Write, more: str) -> None:
    path = write(GOOD + more)
    what = "line 5: section [jobcron]: given twice, first in line 1"
    if not more.startswith("["):
        what = "line 4: section [jobcron], key state_dir: given twice, first in line 3"
    assert f"{path}, {what}" == refusal(path)


@pytest.mark.feature("LP-29")
def test_an_indented_key_is_refused_since_it_reads_as_a_part_of_the_line_before(write: Write) -> None:
    path = write("[jobcron]\n  database_url: sqlite:///a.db\n")
    assert f"{path}, line 2: section [jobcron]: expected a key at the beginning of the line" in refusal(path)


@pytest.mark.feature("LP-29")
def test_a_key_before_any_section_is_refused(write: Write) -> None:
    path = write("state_dir: a\n" + GOOD)
    assert f"{path}, line 1: expected a section before the key state_dir" == refusal(path)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "name", ["ab", "a.b", "../x", "a" * 65, "", "1ab", "a b", "job_section", "do_foo.master", "DEFAULT", "a]b"]
)
def test_a_section_with_a_bad_name_is_refused(write: Write, name: str) -> None:
    path = write(f"{GOOD}[{name}]\nsource_interface: a.B\n")
    message = refusal(path)
    assert str(path) in message
    assert "line 4" in message
    assert name in message


@pytest.mark.feature("LP-29")
def test_a_section_name_of_64_letters_is_fine(write: Write) -> None:
    name = "a" * 64
    assert load_settings(str(write(f"{GOOD}[{name}]\n"))).section(name).name == name


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "text",
    [GOOD + "garbage\n", GOOD + ": x\n", GOOD + "[do_foo\n", "garbage\n" + GOOD],
    ids=["no colon", "no key", "open bracket", "first line"],
)
def test_broken_syntax_is_refused_with_its_line(write: Write, text: str) -> None:
    path = write(text)
    message = refusal(path)
    assert str(path) in message
    assert re.search(r"\bline:?\s*'?(1|4)\b", message), message


@pytest.mark.feature("LP-29")
def test_a_file_that_is_not_in_utf_8_is_refused(write: Write) -> None:
    path = write(GOOD.encode() + "# Grüße\n".encode("latin-1"))
    message = refusal(path)
    assert f"{path}: expected text in UTF-8" in message


@pytest.mark.feature("LP-29")
def test_text_beyond_ascii_is_read(write: Write) -> None:
    path = write(GOOD + "# Grüße\nmail_from: Jürgen <j@example.com>\n")
    assert load_settings(str(path)).mail_from == "Jürgen <j@example.com>"
    assert load_settings(str(path)).mail_from == "Jürgen <j@example.com>"  # compiled


@pytest.mark.feature("LP-29")
def test_a_file_that_extends_itself_is_refused(write: Write) -> None:
    path = write("[meta]\nextends: base.conf\n")
    write("[meta]\nextends: ../here/jobcron.conf\n", "base.conf")
    message = refusal(path)
    assert "section [meta], key extends:" in message
    assert str(path) in message
    assert "extends itself" in message
    assert "extends itself" in refusal(write("[meta]\nextends: jobcron.conf\n"))


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("base", ["missing.conf", ".", "a\0b"], ids=repr)
def test_a_file_that_extends_what_cannot_be_read_is_refused(write: Write, base: str) -> None:
    path = write(f"[meta]\nextends: {base}\n{GOOD}")
    message = refusal(path)
    assert str(path.parent) in message
    assert "extends" in message or "missing.conf: cannot be read" in message or "directory" in message


@pytest.mark.feature("LP-29")
def test_extends_stands_in_meta_and_nowhere_else(write: Write) -> None:
    write(GOOD, "base.conf")
    path = write("[jobcron]\nextends: base.conf\n")
    message = refusal(path)
    assert f"{path}, line 2: section [jobcron]" in message
    assert "unknown key extends" in message


@pytest.mark.feature("LP-29")
def test_relative_paths_are_relative_to_the_file_that_sets_them(write: Write, tmp_path: Path) -> None:
    base = write(GOOD + "python_path: lib\nmail: file:mail\n" + JOBS + "error_dir: oopses\n", "sub/base.conf")
    write("[meta]\nextends: sub/base.conf\n[jobcron]\nstate_dir: mine\n[do_bar]\nerror_dir: bars\n")
    for _ in range(2):  # read, and compiled
        found = load_settings(str(tmp_path / "here"))
        assert found.database_url == f"sqlite:///{base.parent}/foo.db"
        assert found.python_path == [f"{base.parent}/lib"]
        assert found.mail == f"file:{base.parent}/mail"
        assert found.section("do_foo").error_dir == f"{base.parent}/oopses"
        assert found.section("do_bar").error_dir == f"{tmp_path}/here/bars"
        assert found.state_dir == f"{tmp_path}/here/mine"
        assert found.lock_dir == f"{tmp_path}/here/mine/locks"
        (tmp_path / "here/mine").mkdir(exist_ok=True)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(("mode", "refused"), [(0o666, True), (0o602, True), (0o660, False), (0o640, False)])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_file_that_everybody_may_write_is_refused(
    write: Write, mode: int, refused: bool, compiled: bool
) -> None:
    path = write()
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    path.chmod(mode)
    if refused:
        message = refusal(path)
        assert str(path) in message
        assert "chmod o-w" in message
    else:
        assert load_settings(str(path)).oops_prefix == "J"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o770, False)])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_directory_that_everybody_may_write_is_refused(
    write: Write, mode: int, refused: bool, compiled: bool
) -> None:
    path = write()
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    path.parent.chmod(mode)
    if refused:
        message = refusal(path)
        assert str(path.parent) in message
        assert "chmod o-w" in message
    else:
        assert load_settings(str(path)).oops_prefix == "J"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("compiled", [False, True])
def test_an_extended_file_that_everybody_may_write_is_refused(write: Write, compiled: bool) -> None:
    base = write(GOOD, "sub/base.conf")
    path = write("[meta]\nextends: sub/base.conf\n[jobcron]\nstate_dir: state\n")
    (path.parent / "state").mkdir()
    if compiled:
        load_settings(str(path))
    base.chmod(0o666)
    assert str(base) in refusal(path)
    base.chmod(0o600)
    base.parent.chmod(0o777)
    assert str(base.parent) in refusal(path)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("way", ["directory", "relative directory", "file", "option"])
def test_the_environment_or_the_option_names_the_instance(
    write: Write, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    path = write(GOOD + "oops_prefix: MINE\n")
    monkeypatch.setenv("JOBCRON_CONFIG", "testrunner")
    option = None
    match way:
        case "directory":
            monkeypatch.setenv("JOBCRON_CONFIG", str(path.parent))
        case "relative directory":
            monkeypatch.chdir(path.parent.parent)
            monkeypatch.setenv("JOBCRON_CONFIG", "./here")
        case "file":
            monkeypatch.setenv("JOBCRON_CONFIG", str(path))
        case "option":
            option = str(path)
    found = load_settings(option)
    assert (found.oops_prefix, found.path) == ("MINE", str(path))


@pytest.mark.feature("LP-29")
def test_a_name_is_never_looked_up_in_the_working_directory(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = write(GOOD + "oops_prefix: TRAP\n", "development/jobcron.conf")
    monkeypatch.chdir(trap.parent.parent)
    assert load_settings().oops_prefix == "D"
    assert load_settings("development").oops_prefix == "D"


@pytest.mark.feature("LP-29")
def test_a_name_is_looked_up_in_configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBCRON_CONFIG", "testrunner")
    found = load_settings()
    assert found.path == str(Path(CONFIGS).resolve() / "testrunner/jobcron.conf")
    assert load_settings("production").instance == "production"


@pytest.mark.feature("LP-29")
def test_nothing_set_means_the_development_instance_of_the_checkout() -> None:
    assert load_settings().path == str(Path(CONFIGS).resolve() / "development/jobcron.conf")


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("wanted", ["no_such_instance", "/no/such/directory", "../../../etc", "a\0b", "x" * 5000])
def test_an_instance_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    if "\0" not in wanted:
        monkeypatch.setenv("JOBCRON_CONFIG", wanted)
        with pytest.raises(ConfigurationError) as caught:
            load_settings()
        assert "JOBCRON_CONFIG" in str(caught.value)
        assert "jobcron.conf" in str(caught.value)
    message = refusal(wanted)
    assert "--config" in message
    assert repr(wanted) in message


@pytest.mark.feature("LP-29")
def test_a_directory_without_a_configuration_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path}/jobcron.conf is not there" in refusal(tmp_path)


@pytest.mark.feature("LP-29")
def test_the_environment_replaces_the_url_of_the_database(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    (path.parent / "state").mkdir()
    monkeypatch.setenv("JOBCRON_DATABASE_URL", "postgresql+psycopg2://other@db/app")
    for _ in range(2):
        found = load_settings(str(path))
        assert found.database_url == "postgresql+psycopg2://other@db/app"
        assert found.database_origin == "JOBCRON_DATABASE_URL"
    monkeypatch.delenv("JOBCRON_DATABASE_URL")
    found = load_settings(str(path))  # what was compiled meanwhile is the file's
    assert found.database_url == f"sqlite:///{path.parent}/foo.db"
    assert found.database_origin == f"{path}: section [jobcron], key database_url"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_the_short_names_of_postgresql_mean_psycopg2(write: Write, scheme: str) -> None:
    path = write(GOOD.replace("sqlite:///foo.db", f"{scheme}://me:pw@db:5433/app?sslmode=disable"))
    assert load_settings(str(path)).database_url == "postgresql+psycopg2://me:pw@db:5433/app?sslmode=disable"


# The compiled settings.


@pytest.fixture
def compiled(write: Write) -> Path:
    """Return a configuration whose settings have been compiled."""
    path = write(GOOD + "oops_prefix: A\n" + JOBS)
    (path.parent / "state").mkdir(mode=0o700)
    assert load_settings(str(path)).oops_prefix == "A"
    kept = path.parent / "state" / COMPILED_NAME
    assert kept.stat().st_mode & 0o777 == 0o600
    return path


def poison(path: Path, prefix: str = "POISON") -> Path:
    """Change the compiled settings, and return their file."""
    kept = path.parent / "state" / COMPILED_NAME
    content = json.loads(kept.read_text())
    content["settings"]["oops_prefix"] = prefix
    kept.write_text(json.dumps(content))
    return kept


@pytest.mark.feature("LP-29")
def test_compiled_settings_are_used_and_equal_those_that_are_read(compiled: Path) -> None:
    first = load_settings(str(compiled))
    (compiled.parent / "state" / COMPILED_NAME).unlink()
    assert load_settings(str(compiled)) == first
    poison(compiled)  # by the owner: shows that it is this file that is used
    assert load_settings(str(compiled)).oops_prefix == "POISON"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("extended", [False, True])
def test_an_edit_is_seen_even_with_the_same_size_and_time(write: Write, compiled: Path, extended: bool) -> None:
    path = compiled
    if extended:
        write(path.read_text(), "base.conf")
        write("[meta]\nextends: base.conf\n[jobcron]\nstate_dir: state\n")
        assert load_settings(str(path)).oops_prefix == "A"
        path = path.parent / "base.conf"
    before = path.stat()
    path.write_text(path.read_text().replace("oops_prefix: A", "oops_prefix: B"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert load_settings(str(compiled)).oops_prefix == "B"
    assert load_settings(str(compiled)).oops_prefix == "B"


@pytest.mark.feature("LP-29")
def test_an_edit_that_breaks_the_configuration_is_not_hidden(write: Write, compiled: Path) -> None:
    write(GOOD + "nonsense: 1\n")
    assert "nonsense" in refusal(compiled)
    compiled.unlink()
    assert "is not there" in refusal(compiled.parent)


@pytest.mark.feature("LP-29")
def test_an_extended_file_that_goes_away_is_missed(write: Write, compiled: Path) -> None:
    base = write(compiled.read_text(), "base.conf")
    write("[meta]\nextends: base.conf\n[jobcron]\nstate_dir: state\n")
    load_settings(str(compiled))
    base.unlink()
    assert "base.conf: cannot be read" in refusal(compiled)


@pytest.mark.feature("LP-29")
def test_what_another_version_compiled_is_not_used(compiled: Path) -> None:
    kept = poison(compiled)
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "version": "0.0.0"}))
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_another_state_directory_brings_no_old_settings_along(write: Write, compiled: Path) -> None:
    kept = poison(compiled)
    other = compiled.parent / "other"
    other.mkdir(mode=0o700)
    shutil.copy2(kept, other / COMPILED_NAME)
    write(compiled.read_text().replace("state_dir: state", "state_dir: other"))
    found = load_settings(str(compiled))
    assert (found.oops_prefix, found.state_dir) == ("A", str(other))


@pytest.mark.feature("LP-29")
def test_settings_compiled_for_another_instance_are_not_used(write: Write, compiled: Path) -> None:
    poison(compiled)
    text = compiled.read_text().replace("dir: state", "dir: ../state").replace("///", "///../")
    twin = write(text, "twin/jobcron.conf")
    found = load_settings(str(twin))
    assert (found.oops_prefix, found.path) == ("A", str(twin))


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o620, 0o602])
def test_a_compiled_file_that_others_may_touch_is_not_used(compiled: Path, mode: int) -> None:
    poison(compiled).chmod(mode)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whole_directory", [False, True])
def test_a_compiled_file_of_somebody_else_is_not_used(compiled: Path, whole_directory: bool) -> None:
    kept = poison(compiled)
    os.chown(kept.parent if whole_directory else kept, 12345, -1)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_a_symbolic_link_in_place_of_the_compiled_file_is_neither_read_nor_written_through(
    compiled: Path, tmp_path: Path
) -> None:
    kept = poison(compiled)
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert load_settings(str(compiled)).oops_prefix == "A"
    assert elsewhere.read_bytes() == before


@pytest.mark.feature("LP-29")
def test_a_state_directory_that_everybody_may_write_is_not_believed(compiled: Path) -> None:
    kept = poison(compiled)
    kept.parent.chmod(0o777)
    assert load_settings(str(compiled)).oops_prefix == "A"
    kept.unlink()
    assert load_settings(str(compiled)).oops_prefix == "A"
    assert not kept.exists()


NONSENSE = [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    '{"version": null}',
    "\0\0\0",
    "[" * 100_000,
    "1" * 10_000,
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {}}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": null}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {"sections": []}}',
    '{"version": "%(version)s", "texts": %(texts)s, "settings": {"sections": {"a": {"b": 1}}}}',
    '{"version": "%(version)s", "texts": [], "settings": {}}',
]


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:40])
def test_nonsense_in_the_compiled_file_is_not_used(compiled: Path, text: str) -> None:
    kept = poison(compiled)
    content = json.loads(kept.read_text())
    values = {"version": content["version"], "texts": json.dumps(content["texts"])}
    kept.write_text(text % values if "%" in text else text)
    assert load_settings(str(compiled)).oops_prefix == "A"


@pytest.mark.feature("LP-29")
def test_a_compiled_file_cut_off_anywhere_is_not_used(compiled: Path) -> None:
    kept = poison(compiled)
    whole = kept.read_bytes()
    for length in range(0, len(whole), 97):
        kept.write_bytes(whole[:length])
        assert load_settings(str(compiled)).oops_prefix == "A"
        kept.write_bytes(whole)
        kept.chmod(0o600)


@pytest.mark.feature("LP-29")
def test_without_a_state_directory_nothing_is_kept_and_nothing_is_made(write: Write) -> None:
    path = write()
    assert load_settings(str(path)).oops_prefix == "J"
    assert not (path.parent / "state").exists()


# Fuzz: any text in place of the file either loads or is refused, and a second look says the same.

KEYS = [
    "database_url", "state_dir", "lock_dir", "error_dir", "python_path", "application", "mail", "mail_from",
    "oops_prefix", "crash_limit", "activity_interval", "grace_seconds", "source_interface", "batch_size",
    "runner_class", "dbuser", "extends", "nonsense", "cron_control", "crontab_group", "max_runtime",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            "none", "", "sqlite:///foo.db", "postgresql://u:p@h:5/d", "postgresql://[::1", "sqlite:////", "state",
            "/", "..",
            "jobcron.conf", "10m", "1d2d", "0", "3", "-1", "1e9d", "999999999999d", "a.b:c", "a.B", "file:x",
            "smtp://h", "smtp://[", "%(x)s", "${x}", "~", "\0", "a\n  b", "'x'",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
LINES = st.one_of(
    st.builds("{}{}: {}".format, st.sampled_from(["", " ", "\t"]), st.sampled_from(KEYS), VALUES),
    st.builds("{}={}".format, st.sampled_from(KEYS), VALUES),
    st.builds("[{}]".format, st.one_of(st.sampled_from(["jobcron", "do_foo", "meta", "DEFAULT"]), st.text())),
    st.builds("#{}".format, st.text()),
    st.text(),
)
TEXTS = st.one_of(
    st.text(),
    st.lists(LINES, max_size=12).map("\n".join),
    st.lists(LINES, max_size=6).map(lambda lines: GOOD + "\n".join(lines)),
)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the files of all examples."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.feature("LP-29")
@settings(
    max_examples=2000,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=TEXTS)
@example(GOOD)
@example(GOOD + JOBS)
@example(GOOD + "[DEFAULT]\nmail: none\n")
@example(GOOD + "activity_interval: 99999999999999d\n")
@example("[jobcron]\ndatabase_url: postgresql://u@h:x/d\nstate_dir: s\n")
@example("[jobcron]\ndatabase_url: sqlite:///a\nstate_dir: a\0b\n")
@example("[meta]\nextends: a\0b\n")
def test_any_text_loads_or_is_refused(fuzz_folder: Path, text: str) -> None:
    folder = fuzz_folder / str(next(_numbers))
    (folder / "state").mkdir(parents=True)
    path = folder / "jobcron.conf"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    def look() -> Settings | str:
        try:
            return load_settings(str(path))
        except ConfigurationError as error:
            return f"refused: {error}"

    assert look() == look()
    shutil.rmtree(folder)


@pytest.mark.feature("LP-29")
@settings(
    max_examples=300,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=200))
@example(b"\xff\xfe[\x00")
@example(b"\xef\xbb\xbf" + GOOD.encode())
@example(GOOD.replace("\n", "\r\n").encode())
def test_any_bytes_load_or_are_refused(fuzz_folder: Path, content: bytes) -> None:
    path = fuzz_folder / "jobcron.conf"
    path.write_bytes(content)
    with suppress(ConfigurationError):
        assert load_settings(str(path)).path == str(path)


def test_an_absolute_path_to_extend_is_refused(write: Write) -> None:
    base = write(name="base.conf")
    path = write(f"[meta]\nextends: {base}\n")
    assert f"section [meta], key extends: expected a path from this file's folder, got: {base}" in refusal(path)


def test_two_instances_with_one_state_directory_are_refused(tmp_path: Path) -> None:
    paths = {}
    for name, database in (("one", "a"), ("two", "b"), ("release", "a")):
        paths[name] = tmp_path / name
        paths[name].mkdir()
        (paths[name] / "jobcron.conf").write_text(
            f"[jobcron]\ndatabase_url: sqlite:///{tmp_path}/{database}.db\nstate_dir: {tmp_path}/state\n"
        )
    (tmp_path / "state").mkdir(mode=0o700)
    load_settings(str(paths["one"]))
    for _ in range(2):
        with pytest.raises(ConfigurationError) as refused:
            load_settings(str(paths["two"]))
        assert f"{paths['two']}/jobcron.conf: section [jobcron], key state_dir" in str(refused.value)
        assert f"which is also that of {paths['one']}/jobcron.conf, with another database" in str(refused.value)
        load_settings(str(paths["one"]))
    load_settings(str(paths["release"]))  # the same database: the same instance, moved
    (paths["release"] / "jobcron.conf").unlink()
    load_settings(str(paths["two"]))
