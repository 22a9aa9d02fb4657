"""The surroundings of the jobs: the state of the process, which outlives each job.

Entry points: `boundary` puts back what a job changed and tells what it left behind; `real` holds the threads and
the waiting of the operating system, whatever an application puts in their place; `garbage` imports the user's
code.
"""
