"""Dispatch: jobs are offered, as soon as they are committed, to processes that somebody else starts and feeds.

What leaves is a job's number, and nothing else. Whoever receives it claims the row like any runner, or finds that
there is nothing to claim: so a number may get lost, come twice, or come late. Cron is the net below: what nobody
has taken by the next tick, the tick runs.

`offering` is the side of whoever creates jobs: it waits for the commit. `dispatchers` finds what a section's key
``dispatch`` names, an `IDispatcher`, and bears its errors. `offers` keeps a row for each offer that nobody has
received yet, for people who ask why a job waits. The receiving side lies above the runners:
`jobcron.scripts.worker.receiver`.
"""
