"""What the peers need: a Python and a Node.js with their packages, made once, beside jobcron's own environment."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench import TOP

HERE = Path(__file__).parent
BUILD = TOP / "build/bench/peers"
SECONDS = 600
LAST_LINES = 3


class NotToBeHad(Exception):
    """A peer's packages cannot be installed here; the message says why."""


@cache
def python() -> str:
    """Return the path of the peers' own Python.

    Raises:
        NotToBeHad: the packages cannot be installed.
    """
    folder, wanted = BUILD / "python", HERE / "requirements.txt"
    program = folder / "bin/python"
    if not _is_made(folder, wanted):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(program), "-m", "pip", "install", "--quiet", "-r", str(wanted)])
        _note(folder, wanted)
    return str(program)


@cache
def node_modules() -> str:
    """Return the folder of the packages for Node.js.

    Raises:
        NotToBeHad: there is no Node.js, or they cannot be installed.
    """
    folder, wanted = BUILD / "node", HERE / "package.json"
    if not _is_made(folder, wanted):
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise NotToBeHad("there is no Node.js on this machine")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, folder)
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)])
        _note(folder, wanted)
    return str(folder / "node_modules")


def _is_made(folder: Path, wanted: Path) -> bool:
    stamp = folder / "made-from"
    return stamp.exists() and stamp.read_text() == _digest(wanted)


def _note(folder: Path, wanted: Path) -> None:
    (folder / "made-from").write_text(_digest(wanted))


def _digest(wanted: Path) -> str:
    return hashlib.sha256(wanted.read_bytes()).hexdigest()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{command[0]} took longer than {SECONDS} seconds") from None
    if done.returncode != 0:
        last = " ".join(done.stderr.split("\n")[-LAST_LINES - 1 :]).strip()
        raise NotToBeHad(f"{Path(command[0]).name} left with status {done.returncode}: {last}")
