"""Transactions, statements, tables and the clock, on SQLite and PostgreSQL.

Doors: `database.Database` opens connections and sessions; `statements.execute` runs the texts in `sql/`;
`retry` tries again what nobody is to blame for (`trouble`); `sessions` and `after_commit` belong to the
transaction that is open; `tables` and `clock`; `upgrade` and `version` look after the schema.
"""
