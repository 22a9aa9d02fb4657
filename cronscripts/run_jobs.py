#!/bin/sh
# Run the ready jobs of a section of the configuration: run_jobs.py SECTION. Works from any directory, with any
# environment: the checkout's own Python is found here, since cron's python3 would not have our packages.
""":'
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
python=$here/../.venv/bin/python
[ -x "$python" ] || { echo "$0: expected $python, found none: run 'make run' in the checkout first" >&2; exit 2; }
exec "$python" "$0" "$@"
"""

from jobcron.script import JobCronScript

if __name__ == "__main__":
    JobCronScript(commandline_config=True).lock_and_run()
