"""Nothing that a job read in an earlier transaction is trusted, and no committed change of others is overwritten.

Entry point: `keeping.keep_fresh`, for a class of sessions. `links` knows which columns a flush writes because a
relationship was changed. `mutables` has values that change in place, such as a dict that SQLAlchemy tracks.
"""
