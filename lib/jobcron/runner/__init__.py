"""The runner: takes each claimed job through one attempt, under its lease and behind its fence.

Entry points: `job_runner.JobRunner` runs jobs in this process and `isolated.runner.ProcessJobRunner` in child
processes, both on `source_runner`, whose `Guard` accompanies each job; `application` imports the user's code;
`attempt` is the running job, `failure` handles one that failed, `signals` installs handlers; `surroundings` puts
back what a job changed in its process. Inside, the `_executor` runs an attempt from start to end, the `_keeper`
renews its lease, and the `_fence` checks its commits.
"""
