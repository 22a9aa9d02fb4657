"""``jobcron create``: create a job of any class or function."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import say_json
from jobcron.commands.jobs._filters import argument, moment, priority
from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError, DuplicateJob, InvalidJobData, UnknownJobType
from jobcron.functions.creating import create_by_hand, refusal_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("name", metavar="NAME", help="a job type, a job class or a function of the application")
    add("--target", metavar="KEY", help="the target's primary key; CLASS:KEY if targets may have several classes")
    add("--argument", action="append", default=[], type=argument, metavar="NAME=VALUE", help="JSON, or a text")
    add("--priority", type=priority, metavar="N", help="the lowest goes first")
    add("--queue", metavar="QUEUE", help="the queue")
    add("--channel", metavar="CHANNEL", help="such as root.export; by default that of the job's section")
    add("--channel-key", metavar="KEY", help="the key for which the channel's limit per key counts it")
    add("--max-retries", type=int, metavar="N", help="how often the job may be retried after errors")
    add("--requester", metavar="WHO", help="who asks for the job")
    add("--description", metavar="TEXT", help="what the job is about, for people")
    add("--unique-key", metavar="KEY", help="create no second job with this key while one waits")
    add("--start", type=moment, metavar="TIME", help="do not start before this; in ISO 8601, with a time zone")
    add("--expires", type=moment, metavar="TIME", help="do not start after this time; as --start")
    add("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Create a job, and return the exit status.

    Raises:
        UserMistake: the configuration, a value or the database is wrong.
    """
    start: datetime | None = options.start
    given = {
        "priority": options.priority,
        "queue_name": options.queue,
        "channel": options.channel,
        "channel_key": options.channel_key,
        "max_retries": options.max_retries,
        "expires_at": options.expires,
        "requester": options.requester,
        "description": options.description,
        "unique_key": options.unique_key,
        "scheduled_start": start,
    }
    values = {name: value for name, value in given.items() if value is not None}
    opened = opened_database(options.config)
    with opened as (_, database), closing(database.session()) as session, use_session(session):
        try:
            number = create_by_hand(session, options.name, dict(options.argument), target=options.target, **values)
            session.commit()
        except (InvalidJobData, UnknownJobType, DuplicateJob) as error:
            raise ConfigurationError(f"create {options.name}: {error}") from error
        except DBAPIError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise ConfigurationError(
                f"create {options.name}: expected a row that the database takes, it refuses: {refusal}"
            ) from error
    say_json({"id": number}) if options.json else say(f"job {number} is waiting")
    return 0
