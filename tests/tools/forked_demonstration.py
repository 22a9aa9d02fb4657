"""Run the demonstration of `codehost` with its scripts forked: each of them would take half a second to import.

    forked_demonstration.py ADDRESS ARGUMENT...

ADDRESS is the fork server's, which runs this as well.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.getcwd())  # as -m does

import fork_client
from codehost import demo
from codehost.__main__ import main

ADDRESS = sys.argv.pop(1)


def forked(program: str, *arguments: str) -> None:
    """Do what `demo.command` does."""
    print("$", program, *arguments, file=sys.stderr, flush=True)
    with open(os.devnull, "rb") as nothing:
        line = fork_client.order(
            ADDRESS,
            argv=[str(demo.CHECKOUT / program), *arguments],
            executable=sys.executable,
            environment=dict(os.environ),
            cwd=os.getcwd(),
            files=(nothing.fileno(), 2, 2),
        )
    with os.fdopen(line.detach()) as answers:
        status = [int(answer) for answer in answers][1]
    if status:
        raise demo.CommandFailed(status)


vars(demo)["command"] = forked
sys.exit(main())
