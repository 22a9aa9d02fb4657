"""The shared row of every job, the classes of jobs, and the creation of jobs.

Entry points: `job.Job` is the row; `runnable.BaseRunnableJob` and `family` are what an application's classes build
on; `source` and `draft` make jobs; `registry` knows the classes and `known_types` their rows; `lease.Claim` names
an attempt.
"""
