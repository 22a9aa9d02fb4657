"""Run git: without a shell, with a time limit, and with the same result for every user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 60
MAX_TEXT = 1_000_000

# The result must not depend on the user's settings, nor on the variables of a git hook.
SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class GitError(Exception):
    """Git failed.

    Attributes:
        status: that with which it left; None where it could not be run.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Commit(NamedTuple):
    """A commit of a repository's history."""

    id: str
    author: str
    title: str


class Diff(NamedTuple):
    """The difference between two commits."""

    text: str
    files_changed: int
    insertions: int
    deletions: int


def git(*arguments: str, folder: Path | None = None, **variables: str) -> str:
    """Run git and return its output.

    Args:
        arguments: of git.
        folder: where it runs.
        variables: further variables of its environment.

    Raises:
        GitError: it is not installed, took too long, or left with a status other than 0.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment | SETTINGS | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise GitError(f"git left with status {error.returncode}: {said}", error.returncode) from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise GitError(f"git could not be run: {error}") from error
    # A database takes any text but NUL, which git shows of files that have one far from their beginning.
    return done.stdout.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


class GitRepository:
    """A repository on this machine.

    Args:
        path: the folder that has ``.git``, or a bare repository.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def git(self, *arguments: str, **variables: str) -> str:
        """Run git in this repository; see `git`."""
        # Let git find the repository, so that it can refuse one of another user, whose settings may run anything.
        # It does not search the parent folders.
        variables["GIT_CEILING_DIRECTORIES"] = str(self.path.parent)
        return git(*arguments, folder=self.path, **variables)

    def commits(self, count: int) -> list[Commit]:
        """Return the latest commits of the main line, newest first; none if nothing is committed.

        Raises:
            GitError: there is no repository here.
        """
        try:
            self.git("rev-parse", "--verify", "--quiet", "HEAD")
        except GitError as error:
            if error.status != 1:
                raise
            return []
        shown = self.git("rev-list", "--first-parent", f"--max-count={count}", "--format=%an%n%s", "HEAD", "--")
        lines = shown.removesuffix("\n").split("\n")
        return [
            Commit(line.removeprefix("commit "), author, title)
            for line, author, title in zip(lines[::3], lines[1::3], lines[2::3], strict=True)
        ]

    def diff(self, target: str, source: str) -> Diff:
        """Return what merging `source` into `target` changes.

        Raises:
            GitError: one of them is no commit of this repository.
        """
        options = ("--numstat", "--patch", "--no-ext-diff", "--no-textconv")
        shown = self.git("diff-tree", *options, target, source, "--")
        statistics, _, text = shown.partition("\n\n")
        changes = [line.split("\t") for line in statistics.split("\n") if line]
        # A binary file has "-" instead of its counts.
        counts = [(int(i), int(d)) for i, d, *_ in changes if i != "-"]
        return Diff(text[:MAX_TEXT], len(changes), sum(i for i, _ in counts), sum(d for _, d in counts))

    def copy(self, commit: str, path: Path) -> None:
        """Create a bare repository at `path` with `commit` and its ancestors."""
        unfinished = path.with_suffix(".unfinished")
        git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(unfinished))
        # A push, because git clones no other user's repository. Its hooks and submodules are not involved.
        self.git(
            "push",
            "--quiet",
            "--no-verify",
            "--no-signed",
            "--recurse-submodules=no",
            "--receive-pack=git -c receive.shallowUpdate=true receive-pack",
            str(unfinished),
            f"{commit}:refs/heads/main",
        )
        unfinished.rename(path)
