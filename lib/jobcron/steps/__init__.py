"""Jobs of several tasks, as django-db-queue has them, on jobcron's own rows, claims and runners."""

from jobcron.steps.configured import create, define, job_class
from jobcron.steps.job import StepsJob
from jobcron.steps.queues import queue_depths
from jobcron.steps.state import State

__all__ = ["State", "StepsJob", "create", "define", "job_class", "queue_depths"]
