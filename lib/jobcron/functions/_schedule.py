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
        when: a datetime, in UTC if it has no zone; or an offset from now by the database's clock: a timedelta,
            a number of seconds, or a string such as "5d", "3h", "10m" or "2w".
        function: a registered function, or its name. The job's priority and retries are those of the function's
            @job; a function that is registered without @job runs once, as in django-future.
        args, kwargs: the function's arguments.
        content_object: a mapped object to pass as the first argument; it is reloaded when the job runs.
        expires: the time after which the job no longer starts; an offset counts from the scheduled time. None: the
            job never expires.
        session: the caller's session; by default that of `content_object`, then the ambient one.

    Raises:
        InvalidJobData: a time, the arguments or the object do not fit, or cannot be stored.
        UnknownFunction: the function is not registered.
    """
    keywords = {} if kwargs is None else kwargs
    return FunctionJob.schedule(when, function, args, keywords, content_object, expires, session=session)
