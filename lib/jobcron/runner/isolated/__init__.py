"""Jobs in child processes (LP-24).

`runner` claims the jobs and hands each to one of the `slots`; a slot holds a `child` process and its limits,
and `deaths` writes what became of a job whose process died. `program` is what a child runs: a `JobRunner` whose
feed and guard (`handed`) talk to the parent over the `line`; `memory` measures and bounds what it takes.
"""
