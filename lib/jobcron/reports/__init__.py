"""What operators see: the log, OOPS reports, mail and metrics.

Doors: `logs.set_up_log` and `complain`; `oops.globalErrorUtility`, whose reports go to the `publishers`; `alarm`
turns warnings into reports; `mail`; `metrics.observed` and the `metric_events` that it sends.
"""
