"""The ``jobcron`` command, one file a subcommand; `main` finds and starts it."""
