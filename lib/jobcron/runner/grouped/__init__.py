"""Grouped commit: short jobs without side effects outside the database share transactions, by type.

This replaces the usual way from claim to completion. `_claims` locks ready rows, and the lock is the claim;
`_group` runs their jobs in one transaction, which completes them; `groups` decides when, and how many; `runs`
shows that a run has died. A job that cannot share a transaction, for whatever reason, runs in the usual way.
"""
