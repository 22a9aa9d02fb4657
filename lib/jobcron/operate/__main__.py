"""``python -m jobcron.operate``."""

import sys

from jobcron.operate import main

sys.exit(main())
