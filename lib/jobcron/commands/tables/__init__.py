"""Subcommands that act on jobcron's tables as a whole: bring them up to date, make restored ones safe."""
