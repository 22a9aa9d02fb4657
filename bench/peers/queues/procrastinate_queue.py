"""procrastinate: one process; the setting is how many jobs run at a time."""

from __future__ import annotations

import asyncio

import procrastinate  # type: ignore[import-not-found, unused-ignore]

from bench.peers.queues.command import perform, ran_one


def _app(url: str) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="no_op")  # type: ignore[untyped-decorator, unused-ignore]
    async def no_op(number: int) -> None:
        ran_one()

    return app


async def _prepare(url: str, jobs: int) -> None:
    app = _app(url)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
    if jobs:
        await _create(url, jobs)


async def _create(url: str, jobs: int) -> None:
    app = _app(url)
    async with app.open_async():
        for first in range(0, jobs, 1000):
            rows = [{"number": number} for number in range(first, min(first + 1000, jobs))]
            await app.tasks["no_op"].batch_defer_async(*rows)


async def _drain(url: str, setting: int) -> None:
    app = _app(url)
    async with app.open_async():
        await app.run_worker_async(wait=False, concurrency=setting, install_signal_handlers=False)


if __name__ == "__main__":
    perform(
        lambda url, jobs: asyncio.run(_prepare(url, jobs)),
        lambda url, jobs, setting: asyncio.run(_drain(url, setting)),
        lambda url, jobs: asyncio.run(_create(url, jobs)),
    )
