"""Which rows of jobs are looked at for a selection, and in which order."""
