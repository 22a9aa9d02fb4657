"""A child process that runs jobs: ``python -m jobcron.isolation PARENT SOCKET FILE``, which its parent starts."""

from __future__ import annotations

import sys

from jobcron.imports import ImportsForGood

with ImportsForGood(is_ours=__name__ == "__main__"):
    from jobcron.isolation.program import main

if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
