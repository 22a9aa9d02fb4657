"""Jobs in child processes (LP-24).

`runner` claims the jobs and hands each to a `slot`, which holds a `child` process and its limits; `program` is
what that process runs; `memory` measures and bounds what it takes.
"""
