"""Grouped commit: short jobs that work in their database only share a transaction with others of their type.

The other way through the same stages. `_claims` locks ready rows, and the lock is the claim; `_group` runs
their jobs in one transaction, which completes them; `groups` says when, and how many; `runs` is what a death is
known by. A job that cannot share a transaction, for whatever reason, runs in the usual way.
"""
