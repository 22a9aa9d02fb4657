"""The ``jobcron`` command, one file for each subcommand; `main` finds and starts them."""
