"""The documentation does what it says, and its reference says what the code has."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs_runner import Page, PageFailed, needs_of
from fork_server import ForkServer
from jobcron.testing.programs import find_programs
from jobcron.testing.server import PrivatePostgreSQL
from paths import ROOT

DOCS = ROOT / "docs"
VENV = Path(sys.executable).parents[1]

NOT_RUN = {
    "reliability.md": "it has no code",
    "explanation/comparison.md": "it has no code",
    "performance.md": "its commands are the benchmarks, which take long",
}

PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of this checkout, built from a copy: what a build leaves behind would be in the next one."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    for name in ("lib", "configs", "schema"):
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=unwanted)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def postgresql(server: PrivatePostgreSQL) -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database, as libpq reads it."""
    name = f"docs_{os.getpid()}_{next(_numbers)}"
    server.create_database(name)
    yield server.url(name).replace("postgresql+psycopg2:", "postgresql:")
    server.drop_database(name)


@pytest.fixture
def redis() -> Iterator[str]:
    """Return the URL of a Redis."""
    from brokers import Redis  # only this page needs Celery's packages

    broker = Redis()
    try:
        broker.start()
        yield broker.url
    finally:
        broker.close()


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of a page's shell: of a fresh login, with what the page asks for."""
    page = DOCS / request.getfixturevalue("page")
    needs = needs_of(page.read_text())[1]
    path = ["/usr/local/bin", "/usr/bin", "/bin"]
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    if "wheel" in needs:
        settings["JOBCRON"] = str(request.getfixturevalue("wheel"))
        path.insert(0, str(Path(sys.executable).resolve().parent))  # a Python without packages
    if "postgresql" in needs:
        settings["DATABASE_URL"] = request.getfixturevalue("postgresql")
        path.append(str(find_programs()))
    if "redis" in needs:
        settings["BROKER_URL"] = request.getfixturevalue("redis")
    return {**settings, "PATH": ":".join(path), "LANG": "C.UTF-8"}


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the readers of this session's pages."""
    return tmp_path_factory.mktemp("readers")


@pytest.fixture
def reader(readers: Path) -> Path:
    """Return a fresh folder, the same one for each page: what was kept of one names it."""
    folder = readers / "root"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def programs(readers: Path) -> Iterator[Path]:
    """Return a folder of programs that are forked: what readers call most, and what takes most of their time."""
    fork_server = ForkServer({"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"})
    theirs = readers / "root/srv/shop/.venv/bin"
    forked = fork_server.stand_in(theirs / "python")
    python, jobcron = (shlex.quote(str(theirs / name)) for name in ("python", "jobcron"))
    folder = readers / "programs"
    folder.mkdir()
    for name, text in {
        "python": f'case "$1" in -|*.py) exec {forked} "$@";; *) exec {python} "$@";; esac',
        "jobcron": f'exec {forked} {jobcron} "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    yield folder
    fork_server.close()


@pytest.mark.feature("LP-30")  # how-to/testing.md is somebody's own project
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if page not in NOT_RUN])
def test_a_page_does_what_it_says(page: str, environment: dict[str, str], reader: Path, programs: Path) -> None:
    installs = "JOBCRON" in environment
    running = Page(DOCS / page, reader, environment, None if installs else programs, reader.parent / "kept")
    if not installs:
        (running.folder / ".venv").symlink_to(VENV)
    running.run()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ["fastapi.md", "alembic.md"])
def test_a_page_that_shows_sqlite_holds_on_postgresql(
    page: str, postgresql: str, reader: Path, programs: Path, tmp_path: Path
) -> None:
    shutil.copytree(DOCS / "how-to", tmp_path / "how-to")
    for path in (tmp_path / "how-to").iterdir():
        path.write_text(path.read_text().replace("sqlite:////srv/shop/shop.db", postgresql))
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    running = Page(tmp_path / "how-to" / page, reader, environment, programs)
    (running.folder / ".venv").symlink_to(VENV)
    running.run()
    (configuration,) = running.folder.glob("instance/*.conf")
    assert postgresql in configuration.read_text()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```console\n$ echo one\ntwo\n```", "expected:\ntwo\nprinted:\none"),
        ("```console\n$ echo one\n```", "printed:\none"),
        ("```console\n$ false\n```", "expected the status 0, got 1"),
        ("<!-- status: 2 -->\n```console\n$ false\n```", "expected the status 2, got 1"),
        ("```console\nno command\n```", "begins with '[$] '"),
        ("<!-- in: a.py -->\n```python\npass\n```", "expected these lines in a.py, they are not there:\npass"),
        ("```python\nraise SystemExit\n```", "no rule says how a block 'python'"),
        ("<!-- run: python -->\n```python\nraise SystemExit(1)\n```", "expected the status 0, got 1"),
        ("<!-- run: perl -->\n```perl\n1;\n```", "no rule says how"),
        ("```\nplain\n```", "no rule says how a block ''"),
        ("    indented", "line 1: expected code in a fenced block"),
        ("```text\nopen", "line 1: expected an end of this block"),
        ("<!-- file: jobcron.conf -->\n```ini\n[jobcron]\nnonsense: 1\n```", "unknown key nonsense"),
        ("<!-- file: crontab -->\n```text\n* * * * * false\n```", "false left with status 1"),
        ("<!-- file: crontab -->\n```text\n* * * * * date +%F\n```", "cron takes a % as the end"),
        ("<!-- file: crontab -->\n```text\n* * * * date\n```", "no line of a crontab"),
        ("<!-- file: crontab -->\n```text\n# nothing\n```", "expected a command in the crontab"),
        ("<!-- file: a.service -->\n```ini\n[Service]\nExecStart=/bin/false\n```", "left with status 1"),
        ("<!-- file: a.timer -->\n```ini\n[Timer]\nOnCalendar=daily\n```", "expected the unit a.service"),
    ],
)
def test_a_page_that_does_not_do_what_it_says_is_found_out(page: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page + "\n")
    running = Page(tmp_path / "page.md", tmp_path, {"PATH": f"{VENV}/bin:/usr/bin:/bin"})
    with pytest.raises(PageFailed, match=message):
        running.run()


def test_variables_and_the_working_directory_carry_over(tmp_path: Path) -> None:
    commands = "```console\n$ mkdir below && cd below\n$ export NAME=value\n```\n"
    later = "```console\n$ echo $NAME \\\n> in ${PWD}\nvalue in /srv/shop/…\n```\n"
    (tmp_path / "page.md").write_text(f"{commands}\n{later}")
    Page(tmp_path / "page.md", tmp_path, {"PATH": "/usr/bin:/bin"}).run()


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / page).read_text()):
            assert (DOCS / page).parent.joinpath(target).exists(), f"{page} links to {target}, which is not there"


def test_every_claim_of_the_comparison_names_its_source() -> None:
    page = (DOCS / "explanation/comparison.md").read_text()
    claims = [line for line in page.splitlines() if line.startswith("| ") and line.strip("| ")]
    assert claims
    assert [line for line in claims if not re.search(r"\]\((?:https://|[\w./-]+\.md)", line)] == []


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that generates the reference."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generate")


def test_every_generated_part_is_complete(generate: Any) -> None:
    for name, make in generate.PARTS.items():
        assert make().strip(), name


def test_every_generated_part_is_on_a_page_of_the_reference(generate: Any) -> None:
    pages = "".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    assert set(re.findall(r"<!-- generated: (\w+) -->", pages)) == set(generate.PARTS)
    assert "<!-- generated" not in generate.fill(pages)
    assert "_Made from the code" not in generate.fill(pages)


def test_the_reference_has_every_key_of_the_schema_with_its_comment(generate: Any) -> None:
    text = generate.configuration()
    assert "### `database_url`\n\nThe database of the jobs: `sqlite:////absolute/path`" in text
    assert "### `crash_limit`\n\nA job whose process died this often is not run again." in text
    assert "Default: `3`." in text


def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    options = ["-W", "--keep-going", "-q", "-E", "-d", str(tmp_path / "trees"), "-b", "html"]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {
        source
        for page in (tmp_path / "html").rglob("*.html")
        for source in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(\w+:[^\"]+)\"", page.read_text())
    }
    assert not loaded, "the pages load something from elsewhere"
