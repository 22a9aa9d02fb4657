"""Run ``jobcron``, and print at the end whether the run went beyond the tick: ``True`` or ``False``."""

from __future__ import annotations

import atexit
import sys

from jobcron.commands.main import main

if __name__ == "__main__":
    atexit.register(lambda: print("jobcron.scripts._section_run" in sys.modules))
    sys.exit(main())
