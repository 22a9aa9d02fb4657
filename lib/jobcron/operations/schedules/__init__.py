"""Schedules as an operator sees them: `acts` lists and moves them, `reasons` says why one creates no jobs."""
