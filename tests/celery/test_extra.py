"""The extra ``celery`` brings all that its brokers need (LP-32)."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from paths import ROOT


def brought(requirements: list[str]) -> set[str]:
    """Return the distributions that pip would bring for requirements, as they are installed here."""
    found: set[tuple[str, str]] = set()
    left = [(requirement, "") for requirement in requirements]
    while left:
        text, extra = left.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras} - {known for one, known in found if one == name}:
            found.add((name, wanted))
            left += [(more, wanted) for more in importlib.metadata.requires(name) or []]
    return {name for name, _ in found}


@pytest.mark.feature("LP-32")
def test_the_extra_brings_all_that_rabbitmq_and_redis_need() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(os.path.join(ROOT, "setup.cfg"))
    needed = setup["options"]["install_requires"] + setup["options.extras_require"]["celery"]
    there = brought([line for line in needed.splitlines() if line and not line.startswith("#")])
    others = [
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not any(canonicalize_name(owner) in there or canonicalize_name(owner) == "jobcron" for owner in owners)
    ]
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.modules.update(dict.fromkeys({others!r}))\n"
        "import jobcron.celery.sender, jobcron.celery._worker, kombu.transport.redis, kombu.transport.pyamqp"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
