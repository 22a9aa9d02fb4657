cd /tmp/dash-large
while [ -e /work/tools2/gate ]; do sleep 1; done
exec 7>/work/tools2/quiet; flock -s 7
timeout 6600 /work/wt/dash/.venv/bin/python make.py pg 10000000 > pg.log 2>&1 7>&- &
P=$!
while kill -0 $P 2>/dev/null && [ ! -e pg.made ]; do sleep 1; done
flock -u 7
wait $P
