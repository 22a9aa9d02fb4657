"""Celery (the extra ``celery``): ``celery -A jobcron.celery worker`` runs jobs as soon as they are committed.

`sender` hands the numbers of jobs to the broker, in the processes that create them. `_worker` checks the instance
when a worker of Celery's starts, and `_receiving` is behind the one task there is: it runs the job whose number it
is told, by `jobcron.scripts.worker.receiver`. ``docs/how-to/celery.md`` says how to set it up.

The attribute ``app`` is the Celery application of the instance that JOBCRON_CONFIG names, made when it is first
asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from celery import Celery

    app: Celery


def __getattr__(name: str) -> Celery:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jobcron.celery._worker import worker_app

    globals()["app"] = made = worker_app()
    return made
