"""The processes that run jobs, as they are now: those that hold claims, and the workers."""
