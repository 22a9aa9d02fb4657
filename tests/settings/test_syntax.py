"""The parser of configurations: what it reads is what lazr.config reads, and slips are refused with their line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lazr.config import ConfigSchema

from instances import Instance
from jobcron import ConfigurationError, JobStatus
from jobcron.settings.instance import load_settings
from jobcron.settings.reading import read_schema
from jobcron.settings.settings import SCHEMA

GOOD = "[jobcron]\ndatabase_url: sqlite:///foo.db\nstate_dir: state\n"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a configuration and returns its file."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "jobcron.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(path: Path) -> str:
    """Return what is said of a configuration that is not read."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(path))
    return str(caught.value)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("slip", "key"),
    [
        ("  oops_prefix: X\n", "oops_prefix"),
        ("\toops_prefix=X\n", "oops_prefix"),
        ("  oops_prefix :X\n", "oops_prefix"),
        ("  nonsense: 1\n", "nonsense"),
        ("\n  # a comment\n  mail = none\n", "mail"),
    ],
)
def test_a_key_that_is_indented_by_a_slip_is_not_a_part_of_the_value_before_it(
    write: Write, slip: str, key: str
) -> None:
    path = write(GOOD + slip)
    line = 3 + slip.count("\n")
    assert refusal(path) == (
        f"{path}, line {line}: section [jobcron]: expected a key at the beginning of the line, "
        f"got it indented: {key}"
    )


@pytest.mark.feature("LP-29")
def test_a_section_that_is_indented_by_a_slip_is_refused(write: Write) -> None:
    path = write(f"{GOOD}  [do_foo]\n")
    assert refusal(path) == f"{path}, line 4: expected a section at the beginning of the line, got it indented"


@pytest.mark.feature("LP-29")
def test_a_value_may_go_on_in_indented_lines_with_comments_and_empty_lines_between(write: Write) -> None:
    path = write(
        f"{GOOD}oops_publishers: files\n    # ours\n\n    my.module:publish\n\tother:publish\n"
        "[do_foo]\nkeep_functions: a.b 1d\n    export-one 1m\n\n"
    )
    found = load_settings(str(path))
    assert found.oops_publishers == ["files", "my.module:publish", "other:publish"]
    assert found.section("do_foo").keep_functions == {"a.b": 86400.0, "export-one": 60.0}


@pytest.mark.feature("LP-29")
def test_a_section_given_twice_is_refused_with_both_lines(write: Write) -> None:
    path = write(f"{GOOD}[do_foo]\nbatch_size: 1\n[do_bar]\n[do_foo]\nmax_workers: 1\n")
    assert refusal(path) == f"{path}, line 7: section [do_foo]: given twice, first in line 4"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_of_another_system_is_read_all_the_same(write: Write, end: str, mark: str) -> None:
    path = write((mark + GOOD + "[do_foo]\ntasks: a.b\n  c.d\n").replace("\n", end).encode())
    (path.parent / "state").mkdir()
    for _ in range(2):  # read, and compiled
        found = load_settings(str(path))
        assert found.database_url == f"sqlite:///{path.parent}/foo.db"
        assert found.section("do_foo").tasks == ["a.b", "c.d"]


@pytest.mark.feature("LP-29")
def test_a_line_that_is_nothing_is_refused_and_not_shown(write: Write) -> None:
    path = write(f"{GOOD}c4nary-password\n")
    assert refusal(path) == (
        f"{path}, line 4: expected a section, a key with its value, or a comment, found neither"
    )


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("value", ["0s", "0m", "0.0s", "0.0000001s", "0d0h"])
def test_an_activity_interval_of_nothing_is_refused(write: Write, value: str) -> None:
    path = write(f"{GOOD}activity_interval: {value}\n")
    assert refusal(path) == (
        f"{path}: section [jobcron], key activity_interval: expected a time longer than 0, got: {value}"
    )


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", ["activity_interval", "grace_seconds", "keep_completed"])
def test_a_time_of_more_than_a_hundred_years_is_refused(write: Write, key: str) -> None:
    path = write(f"{GOOD}{key}: 36501d\n")
    assert refusal(path) == f"{path}: section [jobcron], key {key}: expected a time of at most 36500d, got: 36501d"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("line", ["mail_from: a@b.example\n  c@d.example\n", "[do_foo]\ndbuser: a\0b\n"])
def test_a_text_with_control_characters_is_refused(write: Write, line: str) -> None:
    assert "expected a text in one line, without control characters" in refusal(write(GOOD + line))


VALUES = st.one_of(
    st.sampled_from(["a", "a b", "x: y", "x = y", "# no comment", "a ; b", "[x]", "", "none", "Grüße", "%(x)s"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=12),
)
FURTHER = st.one_of(
    st.sampled_from(["", "  more", "\ta.b:c", "  # comment", "; comment", "   ", "  a b"]),
)
KEYS = ("mail_from", "dbuser", "schedule", "tasks")
_folders = itertools.count()


@pytest.mark.feature("LP-29")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.dictionaries(st.sampled_from(KEYS), st.tuples(VALUES, st.lists(FURTHER, max_size=3))))
@example(given={"mail_from": ("a ", ["  more"])})
@example(given={"mail_from": ("\x0b", []), "tasks": ("\x85a", ["  b"])})
def test_lazr_config_reads_the_same_values(tmp_path: Path, given: dict[str, tuple[str, list[str]]]) -> None:
    text = "[job_section]\n" + "".join(
        f"# datatype: string\n{key}: {value}\n" + "".join(f"{line}\n" for line in further)
        for key, (value, further) in given.items()
    )
    read = read_schema(text).get("job_section", {})
    theirs = ConfigSchema("schema.conf", StringIO(text))["job_section"]
    assert {key: found.default for key, found in read.items()} == {key: theirs[key].strip() for key in theirs}


@pytest.mark.feature("LP-29")
def test_lazr_config_reads_the_same_schema() -> None:
    theirs = ConfigSchema(SCHEMA)
    for name, keys in read_schema(Path(SCHEMA).read_text()).items():
        assert {key: found.default for key, found in keys.items()} == {
            key: theirs[name][key] for key in theirs[name]
        }


TIMES = st.one_of(
    st.sampled_from(
        ["0s", "0.000001s", "1s", "36500d", "36501d", "999999999d", "0.5w", "1d2h3m4s", "9" * 40 + "s"]
    ),
    st.builds("{}{}".format, st.decimals(0, 10**12, places=3).map(str), st.sampled_from("smhdw")),
)
COUNTS = st.one_of(st.sampled_from(["1", "999999999", "1000000000", "0"]), st.integers(0, 10**10).map(str))


@pytest.mark.feature("LP-29")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    times=st.fixed_dictionaries(
        {},
        optional={"activity_interval": TIMES, "grace_seconds": TIMES, "keep_completed": TIMES, "keep_runs": TIMES},
    ),
    more=st.fixed_dictionaries({}, optional={"crash_limit": COUNTS}),
    section=st.fixed_dictionaries(
        {},
        optional={
            "max_runtime": TIMES,
            "batch_size": COUNTS,
            "alert_waiting": st.tuples(TIMES, TIMES).map(" ".join),
            "alert_failures": st.tuples(COUNTS, COUNTS).map(" ".join),
        },
    ),
)
@example(times={"activity_interval": "0s"}, more={}, section={})
@example(
    times=dict.fromkeys(("activity_interval", "grace_seconds", "keep_completed", "keep_runs"), "36500d"),
    more={"crash_limit": "999999999"},
    section={"max_runtime": "36500d", "batch_size": "999999999", "alert_waiting": "36500d 36500d"},
)
def test_whatever_numbers_are_accepted_a_run_can_use_them(
    instance: Instance, times: dict[str, str], more: dict[str, str], section: dict[str, str]
) -> None:
    def lines(values: dict[str, str]) -> str:
        return "".join(f"{key}: {value}\n" for key, value in values.items())

    instance.configure(lines({**times, **more}), f"[act]\nsource_interface: fooapp.ActJob\n{lines(section)}")
    try:
        load_settings(str(instance.path))
    except ConfigurationError:
        return
    job = instance.act(("write", "x"))
    instance.run("act")
    assert instance.row(job).status == JobStatus.COMPLETED
