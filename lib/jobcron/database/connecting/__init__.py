"""The connections of our engines: how they are made, found alive, and given on without a job's state.

Entry point: `engine.make_engine`. `boundary` counts the ends of jobs. A connection to PostgreSQL is watched
(`_watch`; with psycopg2 it is one of `_watched`, with psycopg 3 of `_watched_psycopg`): it puts itself back before
the first statement after such an end, to the `_session_state` in which `_postgresql` found it when it was new.
`plain` has connections for questions, of either driver. One of `_sqlite` is replaced. `_names` lets our own
statements name the schema of our tables. `sqlite_file` notices that the file was replaced under a connection.
"""
