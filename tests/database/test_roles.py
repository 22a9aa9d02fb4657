"""The files that say what each database role may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobcron import ConfigurationError
from jobcron.database.roles import OWN_FILE, read_roles, rights_of


def written(folder: Path, text: str) -> str:
    path = folder / "security.cfg"
    path.write_text(text)
    return str(path)


def test_a_role_has_its_own_rights_and_those_of_its_groups(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[readers]\ntype=group\nfoo = SELECT\n"
        "[writers]\ntype=group\ngroups=readers\nfoo = insert, UPDATE\nshop.bar = DELETE\n"
        "[runner]\ntype=user\ngroups=writers\nbaz = SELECT\n",
    )
    roles = read_roles([path])
    assert roles["runner"].may_log_in
    assert not roles["writers"].may_log_in
    assert rights_of(roles, "runner") == {
        "foo": {"SELECT", "INSERT", "UPDATE"},
        "shop.bar": {"DELETE"},
        "baz": {"SELECT"},
    }


def test_our_own_file_is_read_and_names_our_tables_only() -> None:
    roles = read_roles([OWN_FILE])
    tables = {right.table for role in roles.values() for right in role.rights}
    assert tables
    assert all(table.startswith("jobcron_") for table in tables)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nfoo = SELECT\n", "[a], key type: expected user or group, got: nothing"),
        ("[a]\ntype=admin\n", "[a], key type: expected user or group, got: admin"),
        ("[a]\ntype=user\nfoo = READ\n", "key foo: expected some of SELECT, INSERT, UPDATE, DELETE, got: READ"),
        ("[a]\ntype=user\nfoo; drop = SELECT\n", "expected the name of a table, or schema.table"),
        ("[a]\ntype=user\ngroups=b\n", "[a], key groups: expected groups of"),
        ("[a]\ntype=group\ngroups=b\n[b]\ntype=group\ngroups=a\n", "a group cannot be in itself: a in b in a"),
        ("[1a]\ntype=user\n", "expected a letter, then letters, digits, _ and -, 64 at most"),
        ("foo = SELECT\n", "File contains no section headers"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_roles([path])
    assert str(caught.value).startswith(path)
    assert message in str(caught.value)


def test_a_role_of_two_files_is_refused_and_both_are_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = written(tmp_path, "[a]\ntype=user\n")
    second = written(tmp_path / "other", "[a]\ntype=user\n")
    with pytest.raises(ConfigurationError) as caught:
        read_roles([first, second])
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "[a]\ntype=user\n")
    Path(path).chmod(0o666)
    with pytest.raises(ConfigurationError, match="not everybody may write"):
        read_roles([path])
