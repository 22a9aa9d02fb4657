"""Transactions, statements, tables and the clock, on SQLite and PostgreSQL.

Entry points: `database.Database` opens connections and sessions; `statements.execute` runs the texts in `sql/`;
`retry` repeats work that met `trouble` in the database; `sessions` and `after_commit` belong to the open
transaction; `tables`, `clock` and `upsert` are for statements; `runs` records runs and `walk` reads long tables;
`upgrade` and `version` look after the schema, `roles` after rights, and `zope` joins transactions of other
packages.
"""
