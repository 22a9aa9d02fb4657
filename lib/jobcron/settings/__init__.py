"""What an instance says: its configuration, read and checked, and what may not be shown.

Doors: `instance.load_settings` finds and reads an instance; `settings` are its typed values, `compiled` their
quick form for a tick; `trust` and `directories` refuse places that others may write; `secrets` blots out what
is secret; `named` looks up what a configuration names. Below this room are only `errors` and `interfaces`.
"""
