"""Be ``jobcron``, and say on standard output at the end whether the run went beyond the tick."""

from __future__ import annotations

import atexit
import sys

from jobcron.operate import main

if __name__ == "__main__":
    atexit.register(lambda: print("jobcron.jobrun" in sys.modules))
    sys.exit(main())
