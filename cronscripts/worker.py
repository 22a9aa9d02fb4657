#!/bin/sh
# Stay, and run jobs as soon as they are ready: worker.py [SECTION …]. Works from any directory, with any
# environment: the checkout's own Python is found here, since cron's python3 would not have our packages.
# The shell reads down to "exec"; to Python those lines are a string.
# fmt: off
''':'
script=$0
[ -h "$script" ] && script=$(readlink -f "$script")
case $script in */*) here=${script%/*} ;; *) here=. ;; esac
python=$here/../.venv/bin/python
[ -x "$python" ] || { echo "$0: expected $python, found none: run make run in the checkout first" >&2; exit 2; }
exec "$python" "$script" "$@"
'''
# fmt: on
from jobcron.scripts.worker.script import Worker

if __name__ == "__main__":
    Worker().lock_and_run()
