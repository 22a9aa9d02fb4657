"""The shared row of every job, the classes of jobs, and the creation of jobs.

Doors: `job.Job` is the row, `status` has its statuses, `hand_moves` moves it by hand, and `history` writes its
events; an application's classes inherit from `runnable.BaseRunnableJob` and `family.FamilyRow`; `source` and
`draft` create jobs; `registry` knows the classes, and `known_types` their rows; `lease.Claim` names an attempt.
`arguments` keeps the values that a class declares.
"""
