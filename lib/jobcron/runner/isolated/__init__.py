"""Jobs in child processes (LP-24).

Entry point: `runner.ProcessJobRunner`, which claims the jobs and hands each to one of the `_slots`. A slot holds a
`_child` process and its limits; `_deaths` writes the outcome of a job whose process died. The `_program` of a
child is a `JobRunner` whose feed and guard (`_handed`) talk to the parent over the `_line`; `_memory` measures and
limits.
"""
