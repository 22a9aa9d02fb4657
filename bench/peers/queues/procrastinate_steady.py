"""procrastinate under a steady load: a worker (``work URL``), or ``load URL JOBS PER_SECOND``.

The load prints what `bench.steady_jobs` prints, from procrastinate's own events. The worker listens, and the job
is a coroutine.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import procrastinate  # type: ignore[import-not-found, unused-ignore]

WORK_SECONDS = 0.001

READY = "The worker runs"

PATIENCE_SECONDS = 300.0

ENDED = "SELECT count(*) AS number FROM procrastinate_jobs WHERE status = 'succeeded'"

TIMES = """
SELECT extract(epoch FROM deferred.at)::float8 AS created, extract(epoch FROM started.at)::float8 AS started,
       extract(epoch FROM ended.at)::float8 AS ended
FROM procrastinate_events AS deferred
JOIN procrastinate_events AS started ON started.job_id = deferred.job_id AND started.type = 'started'
JOIN procrastinate_events AS ended ON ended.job_id = deferred.job_id AND ended.type = 'succeeded'
WHERE deferred.type = 'deferred'
ORDER BY deferred.job_id
"""


def _app(url: str) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="work")  # type: ignore[untyped-decorator, unused-ignore]
    async def work(number: int) -> None:
        end = time.thread_time() + WORK_SECONDS
        while time.thread_time() < end:
            pass

    return app


async def _work(url: str) -> None:
    app = _app(url)
    async with app.open_async():
        print(READY, file=sys.stderr, flush=True)
        await app.run_worker_async(wait=True, concurrency=1)


async def _load(url: str, jobs: int, per_second: float) -> None:
    app = _app(url)
    async with app.open_async():
        began = time.monotonic()
        for number in range(jobs):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            await app.tasks["work"].defer_async(number=number)
        end = time.monotonic() + PATIENCE_SECONDS
        while (await app.connector.execute_query_one_async(ENDED))["number"] < jobs:
            if time.monotonic() > end:
                raise SystemExit(f"{jobs} jobs did not end within {PATIENCE_SECONDS:g} s")
            await asyncio.sleep(0.2)
        found = await app.connector.execute_query_all_async(TIMES)
    whole = max(row["ended"] for row in found) - min(row["created"] for row in found)
    print(json.dumps({"seconds": whole, "waits": [row["started"] - row["created"] for row in found]}))


if __name__ == "__main__":
    what, address, *numbers = sys.argv[1:]
    if what == "work":
        asyncio.run(_work(address))
    else:
        asyncio.run(_load(address, int(numbers[0]), float(numbers[1])))
