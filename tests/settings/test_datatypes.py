"""The types of the configuration's keys: which values they take, and what a refusal says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from configurations import GOOD, Write, refusal
from jobcron.settings.settings import CONFIGS


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
