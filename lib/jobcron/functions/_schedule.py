"""``schedule_job``: the way of django-future (DJF-01 to DJF-04)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobcron.database.sessions import AnySession
from jobcron.functions.calls import FunctionJob

WEEK = timedelta(days=7)


def schedule_job(
    when: datetime | timedelta | str,
    function: Callable[..., Any] | str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    content_object: Any = None,
    expires: datetime | timedelta | str | None = WEEK,
    *,
    session: AnySession | None = None,
) -> FunctionJob:
    """Make a job that calls a function at a time, in the caller's transaction.

    Args:
        when: a datetime, UTC where it has no zone; or a timedelta, or a text such as "5d", "3h", "10m" or "2w",
            from now on, by the database's clock.
        function: one that is registered, or its name. Its priority and retries are those that @job gave it; one
            that was registered without is run once, as in django-future.
        args, kwargs: its arguments.
        content_object: a mapped object that is its first argument, loaded afresh when the job runs.
        expires: a job that has not started then is not run any more; an offset counts from the scheduled time;
            None is never.
        session: the caller's; by default the object's, then the ambient one.

    Raises:
        InvalidJobData: a time, the arguments or the object make no sense, or cannot be stored.
        UnknownFunction: nobody has registered the function.
    """
    keywords = {} if kwargs is None else kwargs
    return FunctionJob.schedule(when, function, args, keywords, content_object, expires, session=session)
