"""The desk's tests: what its jobs do, what its requests leave behind, and what comes of both with cron."""
