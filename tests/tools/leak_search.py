"""Collect what a run leaves where others may read it, command lines and files, to search it for secrets."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path


def command_lines(process: int) -> str:
    """Return the command lines of a process and of all below it."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if process in (int(folder.name), parent):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (OSError, ValueError):
                continue
    return "\n".join(found)


def files_below(folder: Path) -> str:
    """Return what all files say, mails as they are read; the configuration and the database left out."""
    texts = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.name in ("jobcron.conf", "compiled-settings.json") or ".db" in path.name:
            continue
        if path.suffix == ".eml":
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            texts.append(f"{path}: {mail['Subject']}\n{mail.get_content()}")
        texts.append(f"{path}: {path.read_bytes().decode(errors='replace')}")
    return "\n".join(texts)
