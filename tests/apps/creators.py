"""A process that handles requests, each of which reads, creates jobs and commits: ``creators.py KIND COUNT URL``.

KIND says where the engine is from. Prints the errors, and how long each request took, in seconds, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import Session

from creatorsapp import Counting, Thing, TouchJob, nothing
from jobcron import Database, Job, prepare_engine


def engine_of(kind: str, url: str) -> Engine:
    """Return an engine: ours, an application's that is prepared, or a plain one."""
    if kind == "ours":
        return Database(url).engine
    plain = create_engine(url)
    return prepare_engine(plain) if kind == "prepared" else plain


def create(session: Session, thing: Thing, number: int) -> Any:
    """Create jobs in one of the ways that there are."""
    match number % 5:
        case 0:
            return TouchJob.create(thing)
        case 1:
            return TouchJob.acquire(thing)
        case 2:
            return nothing.delay(session, number)
        case 3:
            return TouchJob.createMultiple([thing, thing])
        case _:
            return Counting.create(session=session, workspace={"n": 0})


def request(engine: Engine, number: int) -> None:
    """Handle one request."""
    with Session(engine) as session:
        thing = session.get_one(Thing, 1 + number % 3)
        session.scalar(select(func.count()).select_from(Job))
        create(session, thing, number)
        session.execute(update(Thing).where(Thing.id == thing.id).values(requests=Thing.requests + 1))
        session.commit()


def main(kind: str, count: int, url: str) -> None:
    """Handle requests, and say how they went."""
    engine = engine_of(kind, url)
    errors, seconds = [], []
    for number in range(count):
        began = time.perf_counter()
        try:
            request(engine, number)
        except Exception as error:  # whatever went wrong, it is a failure
            errors.append(f"{type(error).__name__}: {error}")
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"errors": errors, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
