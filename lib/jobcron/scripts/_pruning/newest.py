"""Which jobs are the newest about their target, and stay for that (``keep_newest_of_target``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import ColumnElement, and_, exists, inspect, select
from sqlalchemy.orm import aliased

from jobcron.database.database import Database
from jobcron.database.statements import among
from jobcron.jobs.family import FamilyRow, target_name
from jobcron.jobs.job import Job
from jobcron.jobs.registry import registered
from jobcron.jobs.source import BaseRunnableJobSource
from jobcron.jobs.status import ENDED


class Newest:
    """Finds the jobs of some types of which no newer one about the same target has ended.

    A job is newer if it has a higher number and the same type. Jobs about nothing are never kept.

    Args:
        types: the names of the types, by number; the application is imported.

    Raises:
        InvalidJobData: the table of a type's family does not say what its jobs are about.
    """

    def __init__(self, types: Mapping[int, str]) -> None:
        self._conditions = {number: _is_newest(name) for number, name in types.items()}

    def among(self, database: Database, types: Mapping[int, int]) -> set[int]:
        """Return which of these jobs are the newest about their target.

        Args:
            database: the database of the jobs.
            types: the number of each job's type, by the job's number.
        """
        asked = [(kind, [job for job, its in types.items() if its == kind]) for kind in self._conditions]
        found: set[int] = set()
        for kind, jobs in asked:
            if jobs:
                wanted = select(Job.id).where(among(Job.id, jobs), self._conditions[kind])
                with database.begin(writing=False) as connection:
                    found.update(connection.scalars(wanted))
        return found


def _is_newest(type_name: str) -> ColumnElement[bool]:
    """Return the condition that no newer job about the same target has ended."""
    newer = aliased(Job)
    is_newer = and_(newer.type_id == Job.type_id, newer.id > Job.id, newer._status.in_(ENDED))
    job_class = cast("type[BaseRunnableJobSource] | None", registered().get(type_name))
    if job_class is None or not job_class.has_family:
        is_same = and_(newer.target_type == Job.target_type, newer.target_id == Job.target_id)
        return and_(Job.target_id.is_not(None), ~exists().where(is_newer, is_same).correlate(Job))
    family = cast("type[FamilyRow]", job_class.context_class)
    own, other = aliased(family), aliased(family)
    mapper = inspect(family)
    columns = mapper.relationships[target_name(family)].local_columns
    names = [mapper.get_property_by_column(column).key for column in columns]
    pairs = [(getattr(own, name), getattr(other, name)) for name in names]
    is_same = and_(newer.id == other.id, *(mine == its for mine, its in pairs))
    has_target = and_(own.id == Job.id, *(mine.is_not(None) for mine, _ in pairs))
    followed = exists().where(is_newer, is_same).correlate(Job, own)  # across two levels it is not by itself
    return exists().where(has_target, ~followed).correlate(Job)
