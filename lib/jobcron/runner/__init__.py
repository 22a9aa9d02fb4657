"""Runs claimed jobs: one attempt at a time, under its lease, behind its fence.

Doors: `job_runner.JobRunner` runs jobs in this process, `isolated.runner.ProcessJobRunner` in child processes,
both on `source_runner`, whose `Guard` accompanies the jobs of a run; `application` imports the user's code.
Inside: the `executor` takes one `attempt` from start to end, the `keeper` renews its lease, the `fence` watches
its commits, `failure` does what follows an error.
"""
