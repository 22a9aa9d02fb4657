"""The queue: which job runs next, and how its attempt ended.

Entry points: `tick.with_work` is the cheap check; `feed.feed_for` yields claimed jobs, which `claim` takes,
`loading` loads, and `objects` gives each job its own; `views` give every kind of job and source one type;
`outcome` names the ways in which an attempt can end, `error_rules` map errors to them, and `finish` writes the
result; `sources` finds the source of a section; `ready_count` and `health` examine the queue as a whole.
"""
