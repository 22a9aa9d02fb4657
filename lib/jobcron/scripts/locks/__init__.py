"""Locks: one run of a section at a time on a host, under which names runs claimed jobs, and who holds a lock."""
