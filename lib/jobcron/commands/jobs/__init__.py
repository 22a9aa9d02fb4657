"""The subcommands that show jobs and sections, and act on them; `jobcron.operations` does the work."""
