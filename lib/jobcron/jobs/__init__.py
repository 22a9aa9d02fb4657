"""The shared row of every job, the classes of jobs, and how a job is made.

Doors: `job.Job` is the row; `runnable.BaseRunnableJob` and `family` are what an application's classes build on;
`source` and `draft` make jobs; `registry` knows the classes and `known_types` their rows;
`lease.Claim` names an attempt.
"""
