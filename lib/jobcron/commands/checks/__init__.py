"""The `check-config` subcommand: the configuration, the database, the job types, the crontab."""
