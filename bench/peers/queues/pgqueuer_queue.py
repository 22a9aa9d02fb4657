"""PGQueuer: one process; the setting is how many jobs it takes at a time."""

from __future__ import annotations

import asyncpg  # type: ignore[import-not-found, import-untyped, unused-ignore]
import uvloop  # type: ignore[import-not-found, unused-ignore]
from pgqueuer import PgQueuer  # type: ignore[import-not-found, unused-ignore]
from pgqueuer.db import AsyncpgDriver  # type: ignore[import-not-found, unused-ignore]
from pgqueuer.domain.types import QueueExecutionMode  # type: ignore[import-not-found, unused-ignore]
from pgqueuer.queries import Queries  # type: ignore[import-not-found, unused-ignore]

from bench.peers.queues.command import perform, ran_one


async def _prepare(url: str, jobs: int) -> None:
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()
    if jobs:
        await _create(url, jobs)


async def _create(url: str, jobs: int) -> None:
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).enqueue(["no_op"] * jobs, [None] * jobs, [0] * jobs)
    await connection.close()


async def _drain(url: str, setting: int) -> None:
    connection = await asyncpg.connect(url)
    queue = PgQueuer(AsyncpgDriver(connection))

    @queue.entrypoint("no_op")  # type: ignore[untyped-decorator, unused-ignore]
    async def no_op(job: object) -> None:
        ran_one()

    await queue.qm.run(batch_size=setting, mode=QueueExecutionMode.drain)
    await connection.close()


if __name__ == "__main__":
    perform(
        lambda url, jobs: uvloop.run(_prepare(url, jobs)),
        lambda url, jobs, setting: uvloop.run(_drain(url, setting)),
        lambda url, jobs: uvloop.run(_create(url, jobs)),
    )
