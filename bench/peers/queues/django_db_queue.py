"""django-db-queue: what its worker does for each job, without its pause of a second and its limit of the rate."""

from __future__ import annotations

from urllib.parse import urlsplit

import django
from django.conf import settings

from bench.peers.queues.command import perform, ran, ran_one

TASK = "bench.peers.queues.django_db_queue.no_op"


def no_op(job: object) -> None:
    """Do nothing: the task of each job."""
    ran_one()


def _set_up(url: str) -> None:
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "NAME": parts.path.removeprefix("/"),
    }
    settings.configure(
        SECRET_KEY="none",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django_dbq"],
        DATABASES={"default": database},
        JOBS={"no_op": {"tasks": [TASK]}},
    )
    django.setup()


def _prepare(url: str, jobs: int) -> None:
    _set_up(url)
    from django.core.management import call_command
    from django.db import transaction
    from django_dbq.models import Job  # type: ignore[import-not-found, unused-ignore]

    call_command("migrate", verbosity=0)
    with transaction.atomic():
        for _ in range(jobs):
            Job.objects.create(name="no_op")


def _drain(url: str, jobs: int, setting: int) -> None:
    _set_up(url)
    from django_dbq.management.commands import worker  # type: ignore[import-not-found, unused-ignore]

    at_work = worker.Worker("default", 0)
    while ran[0] < jobs:
        at_work._process_job()


if __name__ == "__main__":
    perform(_prepare, _drain)
