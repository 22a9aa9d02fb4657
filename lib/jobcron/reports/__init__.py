"""What operators see: the log, OOPS reports, mail and metrics.

Entry points: `logs.set_up_log` and `logs.complain`; `oops.globalErrorUtility` makes reports, `bson` encodes them
for python-oops, `old_reports` removes them; `error_text` is what logs and rows say of an error; `alarm` turns
warnings into reports; `mail` sends mail; `metrics.observed` reports a run to listeners as `metric_events`.
"""
