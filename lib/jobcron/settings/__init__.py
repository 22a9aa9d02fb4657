"""The configuration of an instance: found, read, checked, and kept secret where need be.

Doors: `instance.load_settings` finds and reads an instance; `settings` has its typed values, `reading` the checks;
`trust` and `directories` refuse places that others may write, and write files whole; `secrets` hides passwords;
`named` imports what a configuration names; `database_url` reads URLs. Below are only `errors` and `interfaces`.
"""
