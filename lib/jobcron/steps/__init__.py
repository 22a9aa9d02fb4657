"""Jobs of several tasks, as in django-db-queue, but with jobcron's own rows, claims and runners."""

from jobcron.steps._job import StepsJob
from jobcron.steps._state import State
from jobcron.steps.definitions import create, define, job_class
from jobcron.steps.queues import queue_depths

__all__ = ["State", "StepsJob", "create", "define", "job_class", "queue_depths"]
