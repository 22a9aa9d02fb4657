"""Build the sdist and the wheel, and check what somebody would publish.

    python tools/dist.py [FOLDER]

FOLDER is for the two files; by default dist. It is emptied first. Checked are their metadata (twine), their
contents, and that with the wheel alone, in an empty environment and outside the checkout, each command of the
tutorial does what the tutorial says. The index and its settings are pip's own (PIP_…).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

NEEDED = (
    "jobcron/py.typed",
    "jobcron/database/schema/env.py",
    "jobcron/database/schema/script.py.mako",
    "jobcron/database/schema/security.cfg",
    "jobcron/database/sql/tick.sql",
    "jobcron/settings/configs/schema.conf",
    "jobcron/web/static/dashboard.css",
    "jobcron/web/static/htmx-LICENSE.txt",
    "jobcron/web/templates/page.html",
)

FOREIGN = (".pyc", ".pyo", ".orig", ".rej", "~", ".swp")
"""Endings of what is made beside the source and belongs to nobody else."""


def faults_of(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Return what a wheel lacks, and what it should not have.

    Args:
        names: of its files.
        sources: the files that the checkout has for it, as the wheel names them.
    """
    found = set(names)
    missing = sorted({*NEEDED, *sources} - found)
    foreign = sorted(name for name in found if name.endswith(FOREIGN) or not name.startswith("jobcron"))
    return [f"expected {name} in the wheel, it is not there" for name in missing] + [
        f"expected no {name} in the wheel, it is there" for name in foreign
    ]


def sources_of(root: Path) -> list[str]:
    """Return what a checkout's package has, as a wheel names it: modules, statements, migrations, pages."""
    package = root / "lib"
    found = [path for ending in ("*.py", "*.sql") for path in package.rglob(ending)]
    found += [path for name in ("templates", "static") for path in (package / "jobcron/web" / name).iterdir()]
    migrations = (root / "schema" / "versions").glob("*.py")
    return [path.relative_to(package).as_posix() for path in found if "configs" not in path.parts] + [
        f"jobcron/database/schema/versions/{path.name}" for path in migrations
    ]


def run(*command: str | Path) -> None:
    """Run a command in the checkout; if it fails, show what it said and leave with its status."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(f"$ {' '.join(map(str, command))}\n{done.stdout}")
        sys.exit(done.returncode)


def try_out(wheel: Path) -> None:
    """Follow the tutorial with a wheel in an empty environment, outside the checkout, as a newcomer would."""
    sys.path.insert(0, str(ROOT / "tests" / "tools"))
    from docs_runner import Page, PageFailed

    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    path = [str(Path(sys.executable).resolve().parent), "/usr/local/bin", "/usr/bin", "/bin"]
    environment = {**kept, "PATH": ":".join(path), "LANG": "C.UTF-8", "JOBCRON": str(wheel)}
    with tempfile.TemporaryDirectory() as name:
        try:
            Page(ROOT / "docs" / "tutorial" / "first-job.md", Path(name).resolve(), environment).run()
        except PageFailed as error:
            sys.exit(str(error))


def main() -> None:
    """Build, check and try out."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # a wheel would have what an older one left there
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    with zipfile.ZipFile(wheel) as archive:
        faults = faults_of(archive.namelist(), sources_of(ROOT))
    with tarfile.open(sdist) as archive:
        faults += [f"{sdist.name}: {name}" for name in archive.getnames() if name.endswith(FOREIGN)]
    if faults:
        sys.exit("\n".join(faults))
    try_out(wheel)
    sys.stdout.write(f"{wheel}\n{sdist}\n")


if __name__ == "__main__":
    main()
