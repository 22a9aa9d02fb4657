"""Finding an instance: by the environment, an option, a name; and what the environment replaces."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from configurations import GOOD, Write, refusal
from instances import Instance, run_jobcron
from jobcron import ConfigurationError
from jobcron.scripts.instances import Instance as Served
from jobcron.scripts.instances import read
from jobcron.settings._compiled import COMPILED_NAME
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import CONFIGS


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


@pytest.mark.feature("DBQ-06", "LP-29")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_creation_hook_finds_the_settings_of_the_command_that_calls_it(instance: Instance) -> None:
    (instance.path / "hooked.py").write_text(
        "from jobcron import load_settings\nfrom pathlib import Path\n"
        "def work(job): pass\n"
        "def made(job): Path(__file__).with_name('found').write_text(load_settings().path)\n"
    )
    instance.configure(sections="[some]\ntasks: hooked.work\ncreation_hook: hooked.made\n")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))
    run_jobcron("--config", str(instance.path), "create_job", "some")
    assert (instance.path / "found").read_text() == str(path)


def test_a_directory_without_a_slash_is_told_how_to_be_written(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    monkeypatch.chdir(path.parent.parent)
    with pytest.raises(ConfigurationError, match=r"for what is in the working directory write \./here"):
        load_settings("here")
    with pytest.raises(ConfigurationError) as told:
        load_settings("nowhere")
    assert "working directory" not in str(told.value)


@pytest.fixture
def handing(write: Write, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes an application, and a configuration that asks it for its URL."""
    module = f"handing_{abs(hash(request.node.name))}"

    def handing(code: str, name: str = "url") -> Path:
        path = write(f"[jobcron]\ndatabase_url: {module}:{name}\nstate_dir: state\npython_path: application\n")
        write(code, f"application/{module}.py")
        return path

    monkeypatch.setattr(sys, "path", sys.path[:])
    return handing


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("url = 'sqlite:////srv/app.db'", "sqlite:////srv/app.db"),
        ("url = 'postgres://me:pw@db/app'", "postgresql+psycopg2://me:pw@db/app"),
        ("url = 'postgresql://me@h1:1,h2:2/app'", "postgresql+psycopg2://me@/app?host=h1,h2&port=1,2"),
        ("def url():\n    return 'sqlite:////srv/called.db'", "sqlite:////srv/called.db"),
        (
            "from sqlalchemy import make_url\nurl = make_url('postgresql+psycopg2://me:pw@db/app')",
            "postgresql+psycopg2://me:pw@db/app",
        ),
    ],
)
def test_the_application_hands_its_own_url_over(handing: Callable[..., Path], code: str, found: str) -> None:
    path = handing(code)
    (path.parent / "state").mkdir(mode=0o700)
    for _ in range(2):  # read, and compiled
        settings = load_settings(str(path))
        assert settings.database_url == found
        assert settings.database_origin == f"{path}: section [jobcron], key database_url"
    assert "pw" in settings.secrets() or "pw" not in found
    kept = json.loads((path.parent / "state" / COMPILED_NAME).read_text())["settings"]["database_url"]
    assert kept.endswith(":url")  # a URL could be stale


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("URL = 'sqlite:////srv/app.db'", "found no such name; did you mean URL?"),
        ("url = 7", "to be a URL, as a text or SQLAlchemy's, got an object of builtins.int"),
        ("url = 'mysql://me:hunter2@db/x'", "to be a URL of sqlite or postgresql, got 'mysql'"),
        ("url = 'hunter2'", "got something that cannot be read as a URL"),
        ("url = 'sqlite:///app.db'", "with the absolute path of SQLite's file, got sqlite:///app.db"),
        ("url = 'sqlite://'", "with the absolute path of SQLite's file, got sqlite://"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("import os\nos.environ['NOT_SET']", "KeyError: 'NOT_SET' (in "),
        ("\ndef url():\n    return 1 / 0", "got ZeroDivisionError: division by zero (in "),
        (
            "from jobcron import load_settings\nurl = load_settings().database_url",
            "not to need jobcron's settings, it reads them while it is asked for the URL",
        ),
    ],
)
def test_an_application_that_hands_over_no_url_is_refused(
    handing: Callable[..., Path], code: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = handing(code)
    monkeypatch.setenv("JOBCRON_CONFIG", str(path))
    message = refusal(path)
    assert message.startswith(f"{path}: section [jobcron], key database_url: expected ")
    assert part in message
    assert "hunter2" not in message
    monkeypatch.setenv("JOBCRON_DATABASE_URL", "sqlite:////srv/app.db")
    assert load_settings().database_url == "sqlite:////srv/app.db"  # then nobody is asked


def test_a_process_that_reads_several_instances_asks_no_application(handing: Callable[..., Path]) -> None:
    path = handing("raise SystemExit('imported')")
    assert load_settings(str(path), asks_application=False).database_url.endswith(":url")
    found = read(Served(str(path), "served"))
    assert (found.settings is not None, found.mistake) == (True, None)
    assert "SystemExit: imported" in refusal(path)


@pytest.mark.feature("LP-29")
def test_a_section_runs_on_the_database_that_the_application_names(instance: Instance) -> None:
    (instance.path / "ownurl.py").write_text(f"import os\nurl = os.environ.get('SHOP_URL', {instance.url!r})\n")
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace(f"database_url: {instance.url}", "database_url: ownurl:url")
    path.write_text(text.replace("python_path: ", f"python_path: {instance.path} "))
    for _ in range(2):  # the second one asks first, and finds the kept settings
        job = instance.act()
        instance.command("run", "act")
        assert instance.row(job).status.name == "COMPLETED"
    job = instance.act()
    elsewhere = {"SHOP_URL": f"sqlite:///{instance.path}/nowhere.db"}
    _, err = instance.command("run", "act", expect=1, extra_env=elsewhere)
    assert f"{path}: section [jobcron], key database_url" in err
    assert instance.row(job).status.name == "WAITING"
