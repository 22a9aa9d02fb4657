"""``schedule_job``: schedule jobs as django-future does (DJF-01 to DJF-04)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from jobcron.database.sessions import AnySession
from jobcron.functions.calls import FunctionJob
from jobcron.settings.durations import Duration

WEEK = timedelta(days=7)


def schedule_job(
    when: datetime | Duration | str,
    function: Callable[..., object] | str,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    content_object: object = None,
    expires: datetime | Duration | str | None = WEEK,
    *,
    session: AnySession | None = None,
) -> FunctionJob:
    """Schedule a job that calls a function at a given time, in the caller's transaction.

    Args:
        when: a datetime, UTC if it has no zone; or an offset from now by the database's clock: a timedelta,
            a number of seconds, or a text such as "5d", "3h", "10m" or "2w".
        function: a registered function, or its name. Its priority and retries are those of its @job; a function
            registered without @job is run once, as in django-future.
        args, kwargs: its arguments.
        content_object: a mapped object that is its first argument, reloaded when the job runs.
        expires: if the job has not started by then, it never runs; an offset counts from the scheduled time;
            None: it never expires.
        session: the caller's; by default the object's, then the ambient one.

    Raises:
        InvalidJobData: a time, the arguments or the object do not fit, or cannot be stored.
        UnknownFunction: the function is not registered.
    """
    keywords = {} if kwargs is None else kwargs
    return FunctionJob.schedule(when, function, args, keywords, content_object, expires, session=session)
