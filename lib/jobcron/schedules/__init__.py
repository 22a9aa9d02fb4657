"""Schedules: what creates jobs again and again, once for each slot over all hosts.

Entry points: `definitions` is a schedule as configuration, code or an operator gives it; `timetable` says when it
is due; `storing` brings the rows in line with the definitions; `creating` creates the jobs that are due.
"""
