"""A child process that runs jobs: ``python -m jobcron.runner.isolated PARENT SOCKET FILE [LOCK]``."""

from __future__ import annotations

import sys

from jobcron.runner.surroundings.garbage import ImportsForGood

with ImportsForGood(is_ours=__name__ == "__main__"):
    from jobcron.runner.isolated._program import main

if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
