"""Each module of the package imports what it needs, whichever is imported first."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import jobcron
from paths import APPS

PACKAGE = Path(jobcron.__file__).parent

# Forked from a process with the libraries: each would take longer to import them than to import itself.
EACH_ALONE = """
import gc, importlib, os, sys
import mako.template, lazr.config, oops, sqlalchemy.orm, zope.component, zope.interface
gc.disable()  # there will be little garbage
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        importlib.import_module(name)
        os._exit(0)
    assert "jobcron" not in sys.modules
    if os.waitpid(child, 0)[1]:
        print(name)
"""


SAMPLE = 60
"""How many modules ``make test`` tries; ``make chaos`` tries all. No circle of imports passes the contracts."""


def test_each_module_can_be_imported_first() -> None:
    files = [path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files if file.name != "__main__"]
    assert len(names) > SAMPLE
    if not os.environ.get("JOBCRON_CHAOS"):
        names = random.sample(names, SAMPLE)
    done = subprocess.run([sys.executable, "-c", EACH_ALONE, *names], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_jobs_are_made_without_importing_a_runner() -> None:
    code = (
        "import sys, guestapp, sqlalchemy.orm as o\n"
        "try: guestapp.EverythingJob.create(session=None)\n"
        "except Exception as error: assert 'database session' in str(error), error\n"
        "loaded = [m for m in sys.modules if m.startswith('jobcron.')]\n"
        "print([m for m in loaded if m.split('.')[1] in "
        "('runner', 'script', 'feed', 'keeper', 'finish', 'oops', 'notify', 'config', 'operate')])\n"
        "print([m for m in ('alembic', 'lazr.config', 'oops', 'smtplib') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(APPS)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "[]"]
