"""``python -m jobcron.commands``."""

import sys

from jobcron.commands.main import main

sys.exit(main())
