"""Create jobs and find ready ones: the class of a job type is also its source (LP-07 to LP-10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from heapq import merge
from typing import Any, ClassVar, Generic, Self, cast, get_args, get_origin

from sqlalchemy import ColumnElement, Select, and_, inspect, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload
from typing_extensions import TypeVar

from jobcron.database.sessions import AnySession, session_for
from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.database.transactions import begin_writing
from jobcron.jobs import registry
from jobcron.jobs._creating.acquire import acquire, debounced
from jobcron.jobs._creating.bulk import insert_drafts
from jobcron.jobs._creating.drafts import drafts_of
from jobcron.jobs._creating.offered import offer_new
from jobcron.jobs._creating.one import create_one
from jobcron.jobs._job_class import JobClass, enum_of, item_name, prefix_of
from jobcron.jobs._methods import taken_defaults
from jobcron.jobs._target import load_referred, mark_of
from jobcron.jobs.arguments.declared import install_annotations
from jobcron.jobs.arguments.json_data import allow
from jobcron.jobs.arguments.positional import one_without_name
from jobcron.jobs.draft import Draft, draft, key_of, left_idle, session_to_use, session_to_write, type_of
from jobcron.jobs.family import FamilyRow, many_to_one, names_of, target_name
from jobcron.jobs.inserting import insert_job
from jobcron.jobs.job import START_ORDER, Job, is_ready
from jobcron.jobs.registry import SourceClass

Row = TypeVar("Row", bound=Job | FamilyRow, default=Job)


class BaseRunnableJobSource(JobClass, Generic[Row], metaclass=SourceClass):
    """The part of a job class that makes it a source.

    ``class DoFooJob(BaseRunnableJob[FooJob])`` names its family table by the parameter; without one the job has
    only the shared row.
    """

    memory_limit: ClassVar[int | None] = None
    """The most bytes of memory of a job in an isolated runner, its Python process included; None: no limit."""

    output_limit: ClassVar[int] = 10 * 2**20
    """The most that a job may print in an isolated runner, in bytes."""

    finds_ready_jobs_itself: ClassVar[bool] = False
    """Whether the class overrides ``iterReady``."""

    context: Row

    def __init__(self, context: Row) -> None:
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Take the family from the parameter, and register the class if it has a job type.

        Raises:
            DuplicateJobType: another class has the type.
        """
        super().__init_subclass__(**kwargs)
        cls._declared = None
        allow(cls.max_data_bytes, cls.max_data_levels)
        if cls.reserved_names:
            install_annotations(cls)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, BaseRunnableJobSource):
                (argument,) = get_args(base)
                if isinstance(argument, type):
                    cls.context_class = argument
        cls.has_family = cls.context_class is not Job
        cls.job_defaults = {**cls.job_defaults, **taken_defaults(cls)}
        ready = BaseRunnableJobSource.iterReady.__func__  # type: ignore[attr-defined]
        cls.finds_ready_jobs_itself = getattr(cls.iterReady, "__func__", None) is not ready
        if cls.class_job_type is not None:
            name = item_name(cls)
            family = cls.context_class.__tablename__ if cls.has_family else enum_of(cls.class_job_type).__name__
            prefix = "" if cls.has_family else prefix_of(cls)
            cls.former_type_name = f"{family}.{name}"
            cls.type_name = prefix + cls.former_type_name
            registry.register(cls.type_name, cls)

    @staticmethod
    def contextManager() -> AbstractContextManager[object]:
        """Return the context manager that is entered around a run; this one does nothing."""
        return nullcontext()

    @classmethod
    @one_without_name
    def create(cls, target: Any = None, *, session: AnySession | None = None, **values: Any) -> Self:
        """Create a job in the caller's transaction (LP-08).

        Args:
            target: the object that the job is about; None for a type without a target.
            session: the caller's session; by default the target's, then the ambient one.
            values: the class's arguments, values of the shared row (`JOB_VALUES`, and ``metadata`` for
                ``json_data``) and of the family's other columns.

        Raises:
            InvalidJobData: a value is unknown, missing or does not fit, or the target is in another session or
                database.
            NoSession: no session was found.
            DuplicateJob: another job of this type with this ``unique_key`` has not started yet. Nothing is
                written, and the transaction can go on.
            SchemaMismatch: the session's database lacks jobcron's tables.
        """
        used = session_to_use(session, target)
        with left_idle(used):
            session_to_write(used, None)  # that of the target, as was checked
            made = cls._draft(target, values)
        return create_one(cls, used, made)

    @classmethod
    @one_without_name
    def createMultiple(cls, jobs: Iterable[Any], *, session: AnySession | None = None, **values: Any) -> list[int]:
        """Create many jobs with few statements in the caller's transaction; return their numbers (LP-34).

        All jobs are checked, as `create` checks one, before any is written. The numbers are in the order of
        `jobs`; `get` returns the job with a given number.

        Args:
            jobs: for each job its target, or a dict of arguments of `create`, including ``target``.
            session: as for `create`.
            values: as for `create`, for all jobs; a job's own values take precedence.

        Raises:
            InvalidJobData: a job does not fit; the message says which.
            NoSession: no session was found.
            DuplicateJob: as for `create`; no job is created.
            SchemaMismatch: the session's database lacks jobcron's tables.
        """
        used, drafts = drafts_of(cls, jobs, session, values)
        return insert_drafts(used, cls, drafts)

    @classmethod
    @one_without_name
    def acquire(cls, target: Any = None, *, session: AnySession | None = None, **values: Any) -> Self:
        """Return the job for this target that has not started yet, or create one (LP-09).

        All concurrent callers get the same job. Its row is locked, so that it does not start before the caller
        commits. A job that has started is not returned, even if it waits for a retry or for its next task: it may
        have read the old state already. An expired job is not returned either.

        Args:
            target: the object that the job is about.
            session: as for `create`.
            values: as for `create`; used only for a new job. ``unique_key`` replaces the target's key. With
                ``debounce=`` (a timedelta or seconds) each call puts the start off until that long after the call,
                but no later than ``at_most=`` after the job's creation.

        Raises:
            InvalidJobData: as for `create`; or there is neither a target nor a key, or ``debounce`` is given
                together with a start.
        """
        debounce = debounced(values)
        used = session_to_use(session, target)
        with left_idle(used):
            session_to_write(used, None)  # that of the target, as was checked
            made = cls._draft(target, values)
        return acquire(cls, used, target, made, debounce)

    @classmethod
    def get(cls, job_id: int, *, session: AnySession | None = None) -> Self:
        """Return the job with this number, if it is of this type or of the type's slow lane.

        Raises:
            LookupError: there is no such job.
        """
        row = session_for(session).scalars(cls._select().where(Job.id == job_id)).unique().one_or_none()
        if row is None and (lane := registry.slow_lane_of(cls.type_name)) is not None:
            return cast("type[Self]", lane).get(job_id, session=session)
        if row is None:
            raise LookupError(f"expected a job {cls.type_name} with the number {job_id}, found none")
        return cls(row)

    @classmethod
    def iterReady(cls, *, session: AnySession | None = None) -> Iterator[Self]:
        """Iterate over the jobs that are waiting, due and not leased, in starting order (LP-10)."""
        ready = cls._select().where(is_ready()).order_by(*START_ORDER)
        for row in session_for(session).scalars(ready).unique():
            yield cls(row)

    @classmethod
    def about(cls, target: Any, *, session: AnySession | None = None) -> Iterator[Self]:
        """Iterate over this type's jobs for `target`, in any status, the newest first.

        A base class iterates over the jobs of all its subclasses in this process, in one sequence. This takes two
        queries for each family, and two for all types without one.

        Args:
            target: a mapped object that is in the database.
            session: as for `create`.
        """
        used = session_to_use(session, target)
        used.flush()
        if cls.class_job_type is not None:
            for row in used.scalars(cls._select().where(cls._is_about(target)).order_by(Job.id.desc())).unique():
                yield cls(row)
            return
        tables: defaultdict[type[object], dict[str, type[Self]]] = defaultdict(dict)
        for name, job_class in registry.registered().items():
            if issubclass(job_class, cls) and job_class._takes(target):
                tables[job_class.context_class][name] = job_class
        found = [next(iter(kinds.values()))._rows_about(target, used, kinds) for kinds in tables.values()]
        yield from merge(*found, key=lambda job: job.job.id, reverse=True)

    @classmethod
    def _rows_about(cls, target: object, session: Session, kinds: dict[str, type[Self]]) -> Iterator[Self]:
        """Iterate over the jobs for a target whose types share this class's table, the newest first.

        Args:
            target: the target.
            session: the session.
            kinds: the classes, by the names of their types.
        """
        types = select(JobTypeRow.id, JobTypeRow.name).where(JobTypeRow.name.in_(kinds))
        classes = {row.id: kinds[row.name] for row in session.execute(types)}
        wanted = cls._select(Job.type_id.in_(classes)).where(cls._is_about(target)).order_by(Job.id.desc())
        for row in session.scalars(wanted).unique():
            yield classes[(row if isinstance(row, Job) else row.job).type_id](row)

    @classmethod
    def _takes(cls, target: object) -> bool:
        """Return whether jobs of this class can be about an object."""
        if not cls.has_family:
            return True
        relationship = inspect(cls.context_class).relationships[target_name(cls.context_class)]
        return isinstance(target, relationship.mapper.class_)

    @classmethod
    def load(cls, session: Session, job_ids: list[int]) -> dict[int, Self]:
        """Return claimed jobs by number, with their rows and the objects that these refer to freshly loaded.

        A family's related objects are loaded with its rows. Mapped objects of which the shared row has only the
        keys take one query for each class. Inside ``session.no_autoflush``, objects that the session has already
        are not reloaded.
        """
        rows = session.scalars(
            cls._select().where(among(Job.id, job_ids)), execution_options={"populate_existing": session.autoflush}
        ).unique()
        jobs = {job.job.id: job for job in map(cls, rows)}
        load_referred(session, jobs.values())
        return jobs

    @classmethod
    def family_names(cls) -> frozenset[str]:
        """Return the names of a job's values in the family's table."""
        if not cls.has_family:
            return frozenset()
        family: object = cls.context_class
        return names_of(family)

    @classmethod
    def _select(cls, of_type: ColumnElement[bool] | None = None) -> Select[Any]:
        if of_type is None:
            number = select(JobTypeRow.id).where(JobTypeRow.name == cls.type_name)
            of_type = Job.type_id == number.scalar_subquery()
        if not cls.has_family:
            return select(Job).where(of_type)
        family = cls.context_class
        targets = [joinedload(getattr(family, r.key)) for r in many_to_one(family)]
        return select(family).join(family.job).where(of_type).options(contains_eager(family.job), *targets)

    @classmethod
    def _draft(cls, target: object, values: dict[str, object]) -> Draft:
        return draft(cls, target, values)

    @classmethod
    def _new(cls, session: Session, row: object) -> Self:
        job = row if isinstance(row, Job) else cast("FamilyRow", row).job
        offer_new(session, cls, job)
        return cls(cast("Row", row))

    @classmethod
    def _is_about(cls, target: object) -> ColumnElement[bool]:
        if cls.has_family:
            is_target: ColumnElement[bool] = getattr(cls.context_class, target_name(cls.context_class)) == target
            return is_target
        is_itself = or_(Job.target_mark.is_(None), Job.target_mark == mark_of(cls, target))
        return and_(Job.target_type == type_of(target), Job.target_id == key_of(target), is_itself)


def new_job(session: Session, type_name: str, **values: object) -> Job:
    """Create a shared row for a job whose class is not a `BaseRunnableJob`: see `IJobSource`.

    Args:
        session: the caller's session.
        type_name: ``family.TYPE``.
        values: values of the row.
    """
    begin_writing(session)
    session.flush()
    return insert_job(session, type_name, values)
