"""The context of each job when cron runs it: ``application`` in instance/jobcron.conf names `around_job`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from flask import Flask

from flaskapp.app import create_app
from flaskapp.models import db
from jobcron import share_session


@cache
def application() -> Flask:
    """Return the application of this process; create it for the first job."""
    return create_app()


@contextmanager
def around_job() -> Iterator[None]:
    """Give a job the application's context, and the application the job's session.

    The context comes first, because Flask-SQLAlchemy has a session for each context. When the context ends,
    Flask-SQLAlchemy removes its session, and with it what is not committed. The job's session is given back before
    that: its work is committed after the block, together with the job's status.
    """
    with application().app_context(), share_session(db.session):
        yield
