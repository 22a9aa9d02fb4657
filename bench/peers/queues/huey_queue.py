"""Huey, on PostgreSQL and on SQLite: what its consumer does for each task, without its pauses and threads."""

from __future__ import annotations

from typing import Any

from huey import PostgresHuey, SqliteHuey  # type: ignore[import-not-found, unused-ignore]

from bench.peers.queues.command import perform, ran_one


def _huey(url: str) -> tuple[Any, Any]:
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///") + ".huey"
        huey = SqliteHuey(filename=path, results=False, fsync=True)
    else:
        huey = PostgresHuey(dsn=url, results=False)

    @huey.task()  # type: ignore[untyped-decorator, unused-ignore]
    def no_op(number: int) -> None:
        ran_one()

    return huey, no_op


def _prepare(url: str, jobs: int) -> None:
    _, no_op = _huey(url)
    for number in range(jobs):
        no_op(number)


def _drain(url: str, jobs: int, setting: int) -> None:
    huey, _ = _huey(url)
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


if __name__ == "__main__":
    perform(_prepare, _drain)
