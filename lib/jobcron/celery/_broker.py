"""What a broker's errors mean, in words that name the broker: a mistake of whoever set it up, or an outage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, PreconditionFailed
from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError

from jobcron.celery._application import ANSWER_SECONDS, REDIS_OPTIONS
from jobcron.errors import ConfigurationError
from jobcron.reports.logs import complain
from jobcron.settings.instance import BROKER_VARIABLE
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Settings

MISTAKES: tuple[type[Exception], ...] = (
    AccessRefused,  # of a user, a password, or a right
    NotAllowed,  # a virtual host that is not there, or not for this user
    PreconditionFailed,  # a queue that somebody has made with other properties
    ImportError,  # the packages for a kind of broker
    LookupError,  # a kind of broker that Celery does not know
    ValueError,  # a part of the URL that this kind of broker cannot use
)
"""Errors that go on until somebody changes something; all others may go by themselves."""


@contextmanager
def naming_broker(settings: Settings, url: str | None = None) -> Iterator[None]:
    """Say of errors in the block which broker they are about.

    Args:
        settings: the instance's.
        url: the broker's URL; None: the instance's.

    Raises:
        ConfigurationError: the broker cannot be used as it is set up.
        ConnectionError: it could not be reached, or has not answered in time.
    """
    try:
        yield
    except Exception as error:  # of the broker's driver, of which there are many
        # Kombu wraps what may go by itself, by its own opinion: a wrong password, of Redis's errors.
        cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
        why = _reason(cause)
        broker = Redactor().text(url or settings.celery_broker_url or "")
        if isinstance(cause, MISTAKES + _redis_mistakes()):
            in_environment = settings.celery_broker_url == os.environ.get(BROKER_VARIABLE)
            place = BROKER_VARIABLE if in_environment else settings.place("celery_broker_url")
            raise ConfigurationError(
                f"{place}: expected a broker that can be used, got {broker}: {why}"
            ) from error
        raise ConnectionError(f"the broker {broker}: {why or type(cause).__name__}") from error


def check_broker(app: Celery, settings: Settings, queues: Sequence[Queue]) -> None:
    """Ask the broker for a worker's queues; say in one line if it does not answer: Celery asks again and again.

    Args:
        app: the instance's application.
        settings: the instance's.
        queues: those from which the worker is to receive.

    Raises:
        ConfigurationError: the broker cannot be used as it is set up.
    """
    for url in (settings.celery_broker_url or "").split(";"):  # each may be asked if another is away
        options = REDIS_OPTIONS if url.startswith("redis") else {}
        try:
            with (
                naming_broker(settings, url),
                app.connection_for_read(url, connect_timeout=ANSWER_SECONDS, transport_options=options) as asked,
            ):
                asked.connect()
                for queue in queues:
                    queue.bind(asked.default_channel).declare()
        except ConnectionError as error:
            complain(f"jobcron: {error}; it is asked again and again")


def _reason(error: BaseException) -> str:
    """Return what a driver's error says, without its numbers and quotes."""
    if isinstance(error, AMQPError) and error.reply_text:
        return str(error.reply_text)
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error) or type(error).__name__


def _redis_mistakes() -> tuple[type[Exception], ...]:
    with suppress(ImportError):  # the broker is another one
        from redis.exceptions import AuthenticationError, AuthorizationError, ResponseError

        return AuthenticationError, AuthorizationError, ResponseError
    return ()
