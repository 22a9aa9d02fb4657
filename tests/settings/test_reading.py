"""Reading a configuration: what is refused and how, and that any text is read or refused."""

from __future__ import annotations

import itertools
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from configurations import GOOD, JOBS, Write, refusal
from jobcron import ConfigurationError
from jobcron.settings.instance import load_settings
from jobcron.settings.reading import mistakes_in
from jobcron.settings.settings import Settings


@pytest.mark.parametrize(
    ("text", "meant"), [(GOOD + "mial: none\n", "mail"), (GOOD + JOBS + "batchsize: 1\n", "batch_size")]
)
def test_a_misspelt_key_is_answered_with_the_one_that_was_meant(write: Write, text: str, meant: str) -> None:
    assert f"; did you mean {meant}?" in refusal(write(text))


def test_a_misspelt_section_of_the_instance_is_answered_with_the_one_that_was_meant(write: Write) -> None:
    assert "; did you mean [jobcron]?" in refusal(write(GOOD.replace("[jobcron]", "[jobcorn]")))


def test_a_misspelt_section_is_answered_with_the_one_that_was_meant(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"found none; .*; did you mean do_foo\?"):
        load_settings(str(write(GOOD + JOBS))).section("do-fo")


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
    assert "did you mean" not in message
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

    found = look()
    assert found == look()
    told = [f"refused: {error}" for error in mistakes_in(str(path))]
    assert len(set(told)) == len(told)
    assert told[0] == found if told else isinstance(found, Settings) or "state" in found
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


@pytest.mark.parametrize(
    "key", ["lock: everywhere", "lock: none", "lock_lease: 1s", "lock_lease: 2h", "lock_lease: x"]
)
def test_a_lock_that_does_not_exist_is_refused(write: Write, key: str) -> None:
    message = refusal(path := write(f"{GOOD}\n[do_foo]\n{key}\n"))
    name, _, value = key.partition(": ")
    assert f"{path}: section [do_foo], key {name}: expected" in message
    assert message.endswith(f"got: {value}")


def test_a_section_that_is_alone_on_all_hosts_has_no_dispatcher(write: Write) -> None:
    path = write(f"{GOOD}\n[do_foo]\nlock: cluster\ndispatch: celery\n")
    assert f"{path}: section [do_foo], key lock: expected host beside dispatch" in refusal(path)


WRONG = """[jobcron]
databse_url: sqlite:///foo.db
activity_interval: soon
[do_foo]
source_interface: fooapp.IDoFooJobSource
tasks: fooapp.one
dispatch: celry
oops_level: ERROR
[both]
source_interface: fooapp.IDoFooJobSource
tasks: fooapp.one
[bt]
what_is_in_it: is not looked at
[both]
nor: this
[chanel:root.export]
capacity: 1
nonsense
[schedule:nightly]
cron: 0 3 * * *
"""


def test_all_mistakes_are_told_at_once_without_those_that_are_consequences_of_others(write: Write) -> None:
    told = [str(error) for error in mistakes_in(str(write(WRONG)))]
    expected = [
        r"line 2: section \[jobcron\]: unknown key databse_url; .*; did you mean database_url\?$",
        r"line 8: section \[do_foo\]: unknown key oops_level; .*; oops_level is a key of \[jobcron\]$",
        r"line 12: expected a section's name of 3 to 64 .*got '\[bt\]'$",
        r"line 14: section \[both\]: given twice, first in line 9$",
        r"line 16: .* got '\[chanel:root\.export\]'; did you mean channel:root\.export\?$",
        r"section \[jobcron\], key activity_interval: expected a time",
        r"section \[do_foo\], key dispatch: expected celery, or module:callable, got: celry; did you mean",
    ]
    assert len(told) == len(expected), told
    for message, pattern in zip(told, expected, strict=True):
        assert re.search(pattern, message), message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("schedule:x", "expected schedule: and a name of 3 to 64 letters, digits, _ and -, "),
        ("do foo", "expected a section's name of 3 to 64 letters, digits, _ and -, beginning with a letter, and "),
        ("channel:a b", "expected channel: and the name of a channel: "),
        ("other:thing", "; schedule: and a name; or channel: and the name of a channel: "),
    ],
)
def test_a_wrong_name_of_a_section_is_told_what_names_of_its_kind_are_like(
    write: Write, name: str, expected: str
) -> None:
    message = refusal(write(f"{GOOD}\n[{name}]\nx: y\n"))
    assert expected in message
    assert message.endswith(f"got '[{name}]'")


def test_what_a_section_lacks_is_told_if_all_that_it_has_was_read(write: Write) -> None:
    lines = [
        line for line in WRONG.splitlines() if not line.startswith(("[bt]", "what", "nonsense", "[chan", "cap"))
    ]
    text = "\n".join(lines).replace("[both]\nnor: this\n", "") + "\n[other]\nsource_interface: fooapp.A\n"
    told = "\n".join(str(error) for error in mistakes_in(str(write(text))))
    assert "section [both], key tasks: expected no source_interface beside it" in told
    assert "section [schedule:nightly], key job: expected a job type, a class or a function, got: nothing" in told
    assert "key tasks: expected no source_interface beside it, got: fooapp.IDoFoo" in told
    assert "section [do_foo], key tasks" not in told  # another key of it is unknown
    assert "key database_url: expected a URL" not in told
    assert "key state_dir" not in told


def test_a_configuration_without_a_mistake_has_none(write: Write) -> None:
    assert mistakes_in(str(write(GOOD + JOBS))) == []
    told = [str(error) for error in mistakes_in(str(write("[do_foo]\nsource_interface: fooapp.A\n")))]
    assert [message.rpartition("key ")[2] for message in told] == [
        "database_url: expected a URL, got: nothing",
        "state_dir: expected a directory, got: nothing",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "channel: exports",
            "such as root.export (root, or root. and names of letters, digits, _ and - with dots",
        ),
        ("channel: exports", "got: exports; did you mean root.exports?"),
        ("lock: clustr", "expected one of host, cluster, got: clustr; did you mean cluster?"),
        (
            "alert_waiting: 2h 1h",
            "two times, the first for a warning, the second, not shorter, for what is critical",
        ),
        ("alert_silence: aut", "expected auto, none, or two times, "),
        ("alert_silence: aut", "; did you mean auto?"),
    ],
)
def test_a_value_that_is_refused_is_answered_with_the_rule_and_what_was_meant(
    write: Write, text: str, said: str
) -> None:
    assert said in refusal(write(f"{GOOD}{JOBS}{text}\n"))
