"""Which job is next, and what became of it.

Doors: `tick.may_have_work` asks at the least cost; `feed.feed_for` yields claimed jobs (`claim`), which
`loading` loads; `views` give one type to jobs and sources of every kind; `outcome` names what may become of an
attempt, `error_rules` say which error leads to which, and `finish` writes it; `sources` finds the source that a
section names; `health` looks at the queue as a whole.
"""
