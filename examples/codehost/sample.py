"""A small repository built from jobcron's own files, for checkouts without a history."""

from __future__ import annotations

import shutil
from pathlib import Path

import jobcron
from codehost.git import GitRepository, git

COMMITS = 16
AUTHORS = ("Ada Example", "Ben Example", "Cleo Example")


def sample_repository(path: Path) -> GitRepository:
    """Return the sample repository at `path`; build it if it does not exist yet."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _build(unfinished)
        unfinished.rename(path)
    return GitRepository(path)


def _build(path: Path) -> None:
    """Commit a few files at a time: half of each in one commit, the rest in the next."""
    git("init", "--quiet", "--template=", "--initial-branch=main", str(path))
    repository = GitRepository(path)
    package = Path(jobcron.__file__).parent
    files = [file.relative_to(package) for file in sorted(package.glob("*/[a-z]*.py"))]
    bounds = [len(files) * number // COMMITS for number in range(COMMITS + 1)]
    begun: list[Path] = []
    for number in range(COMMITS):
        for file in begun:
            shutil.copyfile(package / file, path / file)
        begun = files[bounds[number] : bounds[number + 1]]
        for file in begun:
            (path / file).parent.mkdir(exist_ok=True)
            (path / file).write_text(_beginning((package / file).read_text("utf-8")), "utf-8")
        repository.git("add", "--all")
        title = f"Begin {', '.join(file.name for file in begun)}"
        repository.git("commit", "--quiet", f"--message={title}", **_signature(number))


def _beginning(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: len(lines) // 2]) + "\n# To be continued.\n"


def _signature(number: int) -> dict[str, str]:
    """Return the author and the time of a commit, the same in every build."""
    signature = {
        "NAME": AUTHORS[number % len(AUTHORS)],
        "EMAIL": "developers@codehost.example.com",
        "DATE": f"2025-01-{number + 1:02}T12:00:00Z",
    }
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in signature.items()}
