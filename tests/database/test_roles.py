"""What each role may do: read from files, its groups' rights included; every mistake is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from instances import Instance
from jobcron import ConfigurationError, load_settings
from jobcron.database.roles import OWN_FILE, read_roles, rights_of, roles_of

FILE = """
[shop_reader]
type = group
goods = select

[shop_writer]
type = group
groups = shop_reader
goods = INSERT, update

[clerk]
type = user
groups = shop_writer, jobcron_creator
stock.shelf = DELETE
"""


def write(folder: Path, content: str) -> str:
    """Write a file of roles, and return its path."""
    path = folder / "security.cfg"
    path.write_text(content)
    return str(path)


@pytest.mark.feature("LP-13")
def test_a_role_has_its_own_rights_and_those_of_its_groups(tmp_path: Path) -> None:
    roles = read_roles([OWN_FILE, write(tmp_path, FILE)])
    clerk = roles["clerk"]
    assert (clerk.may_log_in, clerk.groups) == (True, ("shop_writer", "jobcron_creator"))
    assert not roles["shop_writer"].may_log_in
    rights = rights_of(roles, "clerk")
    assert rights["stock.shelf"] == {"DELETE"}
    assert rights["goods"] == {"SELECT", "INSERT", "UPDATE"}
    assert rights["jobcron_job"] == rights_of(roles, "jobcron_creator")["jobcron_job"] != set()


@pytest.mark.feature("LP-13")
def test_an_instance_has_our_roles_and_its_applications(instance: Instance) -> None:
    ours = set(read_roles([OWN_FILE]))
    assert {"jobcron_runner", "jobcron_creator", "jobcron_reader", "jobcron_pruner"} <= ours
    assert set(roles_of(load_settings(str(instance.path)))) == ours
    instance.configure(f"security_cfg: {write(instance.path, FILE)}")
    assert set(roles_of(load_settings(str(instance.path)))) == {*ours, "shop_reader", "shop_writer", "clerk"}


@pytest.mark.feature("LP-13", "LP-29")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[r]\ntype = role\n", r"section \[r\], key type: expected user or group, got: role$"),
        (
            "[r]\ntype = user\ngoods = SELECT, LOOK\n",
            r"section \[r\], key goods: expected some of SELECT",
        ),
        ("[r]\ntype = user\ngoods; = SELECT\n", r"key goods;: expected the name of a table, or schema\.table$"),
        ("[a]\ntype = user\n[r]\ntype = user\ngroups = a\n", r"key groups: expected groups of .*; got: a$"),
        (
            "[a]\ntype = group\ngroups = b\n[b]\ntype = group\ngroups = a\n",
            r"a group cannot be in itself: a in b in a",
        ),
        ("[r r]\ntype = user\n", r"section \[r r\]: expected a letter, then letters, digits, _ and -"),
        ("nonsense\n", r"no section headers"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_roles([path])
    assert str(caught.value).startswith(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.cfg.*No such file"):
        read_roles([str(tmp_path / "nowhere.cfg")])


def test_a_name_that_two_files_have_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[jobcron_runner]\ntype = group\n")
    with pytest.raises(ConfigurationError, match=r"section \[jobcron_runner\]: expected another name, .* has it$"):
        read_roles([OWN_FILE, path])
