"""The configuration of an instance: found, read, checked, and kept secret where necessary.

Entry points: `instance.load_settings` finds and reads an instance; `settings` has its typed values, `reading` and
`datatypes` the checks; `trust` and `directories` refuse places that others may write, and `directories` writes
whole files; `secrets` hides passwords; `named` imports what a configuration names; `cron` checks schedules;
`database_url` and `sqlalchemy_url` read URLs. Only `errors` and `interfaces` lie below this room.
"""
