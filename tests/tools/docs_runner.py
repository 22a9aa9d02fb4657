"""Run the code of a page of the documentation from top to bottom, as a reader would.

A page belongs into a fresh ``/srv/shop``, which is a folder of the test's. What its blocks are is said by their
language and by a mark, a comment that is not seen once the page is rendered, in the line before:

``console``
    each ``$ command`` (``> `` continues it) is run by one bash; the lines below are all that it may print,
    standard error included; ``…`` stands for anything. It has to succeed; where the last of the block has to fail,
    the mark ``<!-- status: 2 -->`` says how.
``<!-- file: path -->``, ``<!-- append: path -->``
    is written, or added to a file, and checked if its name says how: `CHECKS`.
``<!-- in: path -->``
    is shown: the file has these lines already.
``<!-- run: python -->``
    is run; it may print nothing.

A block that no rule knows is an error, `SHOWN_ONLY` apart. At the top of a page ``<!-- after: page.md -->`` runs
another one before it in the same folder, whose files, exported variables and working directory are found there,
and ``<!-- needs: postgresql -->`` asks for a fixture.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from jobcron.settings.cron import check_expression

SHOWN_ONLY = {"text", "{toctree}"}
"""Languages of blocks without a mark that are there to be looked at: diagrams, tables of contents."""

HOME = "/srv/shop"
PLACES = (HOME, "/etc/systemd/system")
"""Folders that pages name, each of them a folder of the test's."""

_FENCE = re.compile(r"^ *(?P<ticks>`{3,}) *(?P<language>\S*)\s*$")
_MARK = re.compile(r"^<!-- (?P<kind>\w+): (?P<argument>.+?) -->$")
_CRON_LINE = re.compile(r"^(?P<times>(?:[\d*/,-]+\s+){5})(?P<command>\S.*)$")
_VARIABLE = re.compile(r"^(?P<name>\w+)\s*=\s*(?P<value>.*)$")
_END = "-- end of command --"


class Block(NamedTuple):
    """A fenced block of a page: where it begins, its mark, its text."""

    line: int
    language: str
    kind: str
    argument: str
    text: str


class PageFailed(AssertionError):
    """A page does not do what it says."""


def needs_of(text: str) -> tuple[list[str], list[str]]:
    """Return the pages that a page continues, and the fixtures that it asks for."""
    marks = [match.groups() for match in map(_MARK.match, text.splitlines()) if match]
    pages, fixtures = ([argument for kind, argument in marks if kind == wanted] for wanted in ("after", "needs"))
    return pages, fixtures


def blocks_of(text: str) -> Iterator[Block]:
    """Iterate over the fenced blocks of a page.

    Raises:
        PageFailed: it has code that is not fenced, or a fence without an end.
    """
    lines = iter(enumerate(text.splitlines(), 1))
    before = ""
    for number, line in lines:
        fence = _FENCE.match(line)
        if line.startswith("    ") and not fence:
            raise PageFailed(f"line {number}: expected code in a fenced block, got it indented: {line.strip()}")
        if fence:
            mark = _MARK.match(before)
            kind, argument = mark.groups() if mark else ("", "")
            inside: list[str] = []
            for _, content in lines:
                if content.strip() == fence["ticks"]:
                    break
                inside.append(content)
            else:
                raise PageFailed(f"line {number}: expected an end of this block, found none")
            yield Block(number, fence["language"], kind, argument, "\n".join(inside) + "\n")
        before = line


class Shell:
    """One bash for a whole page, so that variables and the working directory carry over.

    Args:
        folder: where it starts.
        environment: all that it has.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._script = folder.parent / "command.sh"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # and what it left running
        self._process.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; return its status and what it printed."""
        assert self._process.stdin
        assert self._process.stdout
        self._script.write_text(command + "\n")
        file = shlex.quote(str(self._script))
        self._process.stdin.write(f". {file} </dev/null\nprintf '\\n{_END}%s\\n' $?\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_END):
                return int(line.removeprefix(_END)), "".join(printed)[:-1]
            printed.append(line)
        raise PageFailed(f"the shell ended at: {command}")


class Page:
    """A page while it is run.

    Args:
        path: the page.
        root: a folder of the test's, in which `PLACES` are made.
        environment: of its shell; HOME is set here, and the page's own ``.venv`` comes first on the PATH.
        programs: a folder of programs that come before the page's own; None: none do.
        kept: a folder where what a page leaves behind is kept for those that come after it, with the same root;
            None: it is run for each of them.
    """

    def __init__(
        self,
        path: Path,
        root: Path,
        environment: dict[str, str],
        programs: Path | None = None,
        kept: Path | None = None,
    ) -> None:
        self.path = path
        self.root = root
        self.kept = kept
        self.places = {place: f"{root}{place}" for place in PLACES}
        self.folder = Path(self.places[HOME])
        for place in self.places.values():
            Path(place).mkdir(parents=True, exist_ok=True)
        found = [str(programs)] if programs else []
        path_variable = ":".join([*found, f"{self.folder}/.venv/bin", environment["PATH"]])
        self.environment = {**environment, "HOME": str(self.folder), "PATH": path_variable}

    def run(self) -> None:
        """Run every block.

        Raises:
            PageFailed: one of them is unknown, fails, or prints something else than the page says.
        """
        here = self.folder
        before: list[Path] = []
        for name in needs_of(self.path.read_text())[0]:
            before.append(self.path.parent / name)
            here = self._continue(before, here)
        with Shell(here, self.environment) as shell:
            self._run_page(self.path, shell)

    def _run_page(self, page: Path, shell: Shell) -> None:
        for block in blocks_of(page.read_text()):
            try:
                self._run_block(block, shell)
            except PageFailed as error:
                raise PageFailed(f"{page}, block of line {block.line}: {error}") from None

    def _continue(self, pages: list[Path], here: Path) -> Path:
        """Be where the last of these pages leaves its reader.

        Args:
            pages: which were read one after the other.
            here: where the last one begins.

        Returns:
            The working directory.
        """
        kept = self.kept and self.kept / "-".join(page.stem for page in pages)
        if kept and kept.exists():
            shutil.rmtree(self.root)
            shutil.copytree(kept / "root", self.root, symlinks=True)
            changed = json.loads((kept / "environment").read_text())
        else:
            with Shell(here, self.environment) as shell:
                self._run_page(pages[-1], shell)
                left = dict(line.split("=", 1) for line in shell.run("env -0")[1].split("\0") if "=" in line)
            # Only what the page has changed: the rest is what this reader was given, and another is not.
            given = {**self.environment, **{name: left.get(name) for name in ("OLDPWD", "SHLVL", "_")}}
            changed = {name: value for name, value in left.items() if given.get(name) != value}
            if kept:
                self._keep(kept, changed)
        self.environment |= changed
        return Path(self.environment.pop("PWD"))

    def _keep(self, kept: Path, changed: dict[str, str]) -> None:
        new = kept.with_suffix(".new")
        shutil.copytree(self.root, new / "root", symlinks=True)
        (new / "environment").write_text(json.dumps(changed))
        new.rename(kept)

    def _run_block(self, block: Block, shell: Shell) -> None:
        match block.kind, block.language:
            case (("file" | "append"), _):
                self._write(block)
            case "in", _:
                self._find(block)
            case "run", "python":
                self._expect(shell, f"python - <<'END OF BLOCK'\n{block.text}END OF BLOCK", "", 0)
            case (("status" | ""), "console"):
                self._run_commands(block, shell)
            case "", language if language in SHOWN_ONLY:
                pass
            case _:
                raise PageFailed(f"no rule says how a block {block.language!r} marked {block.kind!r} is run")

    def _run_commands(self, block: Block, shell: Shell) -> None:
        commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        if commands.pop(0).strip() or not commands:
            raise PageFailed("expected a line that begins with '$ ' first")
        for number, text in enumerate(commands, 1):
            first, *lines = text.splitlines()
            command = [first]
            while lines and lines[0].startswith("> "):
                command.append(lines.pop(0)[2:])
            status = int(block.argument) if block.kind == "status" and number == len(commands) else 0
            self._expect(shell, "\n".join(command), "\n".join(lines), status)

    def _expect(self, shell: Shell, command: str, expected: str, status: int) -> None:
        found, printed = shell.run(self._real(command))
        printed = self._shown(printed)
        pattern = ".*".join(map(re.escape, expected.strip().split("…")))
        if not re.fullmatch(pattern, printed.strip(), re.DOTALL):
            raise PageFailed(f"$ {command}\nexpected:\n{expected}\nprinted:\n{printed}")
        if found != status:
            raise PageFailed(f"$ {command}\nexpected the status {status}, got {found}; printed:\n{printed}")

    def _write(self, block: Block) -> None:
        path = self.folder / self._real(block.argument)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if block.kind == "append" else "w", encoding="utf-8") as file:
            file.write(self._real(block.text))
        for name, check in CHECKS.items():
            if path.match(name):
                check(self, path)

    def _find(self, block: Block) -> None:
        path = self.folder / self._real(block.argument)
        if not path.exists() or self._real(block.text) not in path.read_text(encoding="utf-8"):
            raise PageFailed(f"expected these lines in {block.argument}, they are not there:\n{block.text}")

    def _real(self, text: str) -> str:
        for place, real in self.places.items():
            text = text.replace(place, real)
        return text

    def _shown(self, text: str) -> str:
        for place, real in self.places.items():
            text = text.replace(real, place)
        return text

    def run_bare(self, command: str | list[str], environment: dict[str, str]) -> str:
        """Run a command as a service does, in a nearly empty environment; return what it printed."""
        done = subprocess.run(
            ["/bin/sh", "-c", command] if isinstance(command, str) else command,
            cwd=self.folder,
            env={"HOME": str(self.folder), "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise PageFailed(f"{command} left with status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def sections(self) -> list[str]:
        """Return the sections of jobs of all instances that the page made."""
        files = self.folder.rglob("jobcron.conf")
        names = [name for file in files for name in re.findall(r"^\[(.+)\]$", file.read_text(), re.MULTILINE)]
        return sorted(set(names) - {"jobcron", "meta"})


def check_configuration(page: Page, path: Path) -> None:
    """Read an instance as a script does."""
    code = f"import jobcron; jobcron.load_settings({str(path)!r})"
    page.run_bare([sys.executable, "-c", code], {})


def check_crontab(page: Page, path: Path) -> None:
    """Run each line of a crontab as cron does."""
    variables: dict[str, str] = {}
    commands = 0
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if variable := _VARIABLE.match(line):
            variables[variable["name"]] = variable["value"].strip("\"'")
        elif entry := _CRON_LINE.match(line):
            if re.search(r"(?<!\\)%", entry["command"]):
                raise PageFailed(f"cron takes a % as the end of the line: {line}")
            page.run_bare(entry["command"], variables)
            commands += 1
        else:
            raise PageFailed(f"no line of a crontab: {line}")
    if not commands:
        raise PageFailed("expected a command in the crontab, found none")


def check_service(page: Page, path: Path) -> None:
    """Run the command of a systemd service, that of a template once for each section of jobs."""
    unit = _unit(path)
    variables = dict(entry.split("=", 1) for entry in shlex.split(unit["Service"].get("Environment", "")))
    for section in page.sections() if "@" in path.name else [""]:
        command = unit["Service"]["ExecStart"].replace("%i", section)
        page.run_bare(shlex.split(command), variables)
    _verify_unit(path)


def check_timer(page: Page, path: Path) -> None:
    """Check that a systemd timer says when, and that its service is there."""
    unit = _unit(path)
    service = unit["Timer"].get("Unit", path.with_suffix(".service").name)
    if not path.with_name(service).exists():
        raise PageFailed(f"expected the unit {service} beside {path.name}, it is not there")
    if shutil.which("systemd-analyze") and "OnCalendar" in unit["Timer"]:
        page.run_bare(["systemd-analyze", "calendar", unit["Timer"]["OnCalendar"]], {})
    _verify_unit(path)


def _unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


def _verify_unit(path: Path) -> None:
    """Let systemd judge a unit, where it is installed; it also tells of other units, which are not ours."""
    if not shutil.which("systemd-analyze"):
        return
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if path.stem.split("@")[0] in line]
    if ours:
        raise PageFailed(f"systemd-analyze verify {path.name}:\n" + "\n".join(ours))


def check_manifest(page: Page, path: Path) -> None:
    """Read a manifest of CronJobs, and run what their containers run."""
    import yaml  # of the extra for the documentation

    for manifest in yaml.safe_load_all(path.read_text()):
        spec = manifest["spec"]
        if (manifest["apiVersion"], manifest["kind"]) != ("batch/v1", "CronJob"):
            raise PageFailed(
                f"expected a CronJob of batch/v1, got: {manifest['kind']} of {manifest['apiVersion']}"
            )
        check_expression(spec["schedule"])
        pod = spec["jobTemplate"]["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            if not mounted <= volumes:
                raise PageFailed(f"expected volumes {sorted(mounted)}, got: {sorted(volumes)}")
            variables = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
            page.run_bare(container["command"], variables)


CHECKS: dict[str, Callable[[Page, Path], None]] = {
    "jobcron.conf": check_configuration,
    "crontab": check_crontab,
    "*.service": check_service,
    "*.timer": check_timer,
    "*.yaml": check_manifest,
}
"""How a file is checked once it is written, by its name."""
