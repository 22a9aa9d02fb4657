"""What an operator sees and does, as a Python interface: for the commands, a dashboard, an application's admin.

Entry points: `selection` (which jobs), `asking` (what people write to say which), `listing` (pages and counts of
jobs), `grouping` (counts by what jobs have in common), `details` (all about one job), `sections` (sections, runs
and types), `processes` (runners, workers), `why` (why a job or a section does not run, as `reasons`), `acts` (what
can be done to jobs), `undo` (take an act back), `pauses` (of sections, types and queues), `schedules` (what
creates jobs again and again), `doctor` (what is wrong with an instance), `oopses` (reports), `forecast` (what the
next run would do).

Everything that reads is bounded: it looks at a limited number of rows, however many the tables have.
"""
