"""Run ``jobcron``, and print what it read from the first claim on: modules that it imported, files of the package.

Sources that a traceback shows are not counted: without them it has fewer lines. With ``GONE`` in the environment
the package's folder is renamed to that at the first claim, and one that cannot be imported takes its place.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import jobcron
from jobcron.commands.main import main
from jobcron.queue import claim

PACKAGE = os.path.dirname(jobcron.__file__)

taken = claim._taken
late: list[str] = []
is_recording = False


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note an import or an opened file."""
    if not is_recording:
        return
    if event == "import" and arguments[0] not in sys.modules and not arguments[0].startswith("encodings."):
        late.append(f"import {arguments[0]}")
    elif (
        event == "open"
        and str(arguments[0]).startswith(PACKAGE)
        and not str(arguments[0]).endswith((".py", ".pyc"))
    ):
        late.append(f"open {arguments[0]}")


def first_claim(*arguments: Any, **parameters: Any) -> Any:
    """Claim, and record from then on."""
    global is_recording
    if not is_recording and "GONE" in os.environ:
        os.rename(PACKAGE, os.environ["GONE"])
        os.mkdir(PACKAGE)
        with open(os.path.join(PACKAGE, "__init__.py"), "w", encoding="utf-8") as file:
            file.write("raise ImportError('half of a release')\n")
    is_recording = True
    return taken(*arguments, **parameters)


if __name__ == "__main__":
    claim._taken = first_claim
    sys.addaudithook(note)
    try:
        status = main()
    finally:
        is_recording = False
        print(json.dumps(late))
    sys.exit(status)
