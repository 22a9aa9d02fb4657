"""The processes that run jobs: those that hold claims, the workers, and the lines with which cron starts runs."""
