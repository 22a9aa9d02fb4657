"""Graphs: jobs that wait for other jobs.

`elements` has what a program puts together (`chain`, `group`, planned jobs), `creating` writes it in a few
statements, `reading` returns a job's predecessors and successors, and `sweeping` releases what no trigger has
released. The release itself is a trigger of the database (``schema/versions/0013_graphs.py``): whoever ends a job
releases its successors in the same transaction. Entry points: the names above, and `member` has what every job
has.
"""
