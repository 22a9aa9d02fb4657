"""Create jobs and find ready ones: the class of a job type is also its source (LP-07 to LP-10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, Self, get_args, get_origin

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session, contains_eager, joinedload
from typing_extensions import TypeVar

from jobcron.database.sessions import AnySession, session_for
from jobcron.database.tables import JobTypeRow
from jobcron.database.transactions import begin_writing
from jobcron.jobs import known_types, registry
from jobcron.jobs._acquire import acquire
from jobcron.jobs._bulk import drafts_of, insert_drafts
from jobcron.jobs._target import load_referred
from jobcron.jobs.arguments.declared import Declared, declared_by, install_annotations
from jobcron.jobs.arguments.json_data import MAX_BYTES, MAX_LEVELS, allow
from jobcron.jobs.draft import draft, key_of, session_to_use, session_to_write, type_of
from jobcron.jobs.family import FamilyRow, many_to_one, names_of, target_name
from jobcron.jobs.job import START_ORDER, Job, is_ready
from jobcron.jobs.registry import SourceClass

Row = TypeVar("Row", bound=Job | FamilyRow, default=Job)


class BaseRunnableJobSource(Generic[Row], metaclass=SourceClass):
    """The part of a job class that makes it a source.

    ``class DoFooJob(BaseRunnableJob[FooJob])`` names its family table by the parameter; without one the job has
    only the shared row.
    """

    class_job_type: ClassVar[Any] = None
    """The item of the family's enum; a class without one is a base class and is not registered."""

    context_class: ClassVar[type[Any]] = Job
    """The mapped class of the family, taken from the class's parameter."""

    has_family: ClassVar[bool] = False
    """Whether the jobs have a row in a family's table besides the shared row."""

    type_name: ClassVar[str]
    """The type's name in the database: ``family.TYPE``."""

    memory_limit: ClassVar[int | None] = None
    """The memory limit of a job in an isolated runner, in bytes, its process included; None: no limit."""

    output_limit: ClassVar[int] = 10 * 2**20
    """The limit for what a job prints in an isolated runner, in bytes."""

    finds_ready_jobs_itself: ClassVar[bool] = False
    """Whether the class overrides ``iterReady``."""

    job_defaults: ClassVar[dict[str, Any]] = {}
    """Values of the shared row that the class sets as attributes, such as ``max_retries = 5``."""

    max_data_bytes: ClassVar[int] = MAX_BYTES
    """The limit for the job's data as JSON, in bytes."""

    max_data_levels: ClassVar[int] = MAX_LEVELS
    """The limit for nested arrays and objects in the job's data."""

    reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Names that every job has: an annotation with one of them declares no argument."""

    delegated_names: ClassVar[frozenset[str]] = frozenset()
    """Those of them that belong to the shared row; only that can set them."""

    has_fields: ClassVar[bool] = False
    """Whether the fields of the class's interfaces have been turned into arguments."""

    _declared: ClassVar[Declared | None] = None

    context: Row
    job: Any

    def __init__(self, context: Row) -> None:
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
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
        named = {k: cls.__dict__[k] for k in ("max_retries", "priority") if k in cls.__dict__}
        own = {k: v for k, v in named.items() if v is None or isinstance(v, int)}
        for name in own:
            delattr(cls, name)  # so that an instance shows its row's value
        cls.job_defaults = {**cls.job_defaults, **own}
        ready = BaseRunnableJobSource.iterReady.__func__  # type: ignore[attr-defined]
        cls.finds_ready_jobs_itself = getattr(cls.iterReady, "__func__", None) is not ready
        if cls.class_job_type is not None:
            enum = type(cls.class_job_type)
            # any object: an item of a standard enum or of lazr.enum
            enum_name = getattr(getattr(cls.class_job_type, "enum", enum), "__name__", enum.__name__)
            family = cls.context_class.__tablename__ if cls.has_family else enum_name
            cls.type_name = f"{family}.{cls.class_job_type.name}"
            registry.register(cls.type_name, cls)

    @staticmethod
    def contextManager() -> AbstractContextManager[Any]:
        """Return the context manager that is entered around a run; this one does nothing."""
        return nullcontext()

    @classmethod
    def create(cls, target: Any = None, *, session: AnySession | None = None, **values: Any) -> Self:
        """Create a job in the caller's transaction (LP-08).

        Args:
            target: what the job is about; None for a type without a target.
            session: the caller's; by default the target's, then the ambient one.
            values: the class's arguments, values of the shared row (`JOB_VALUES`, and ``metadata`` for
                ``json_data``) and of the family's other columns.

        Raises:
            InvalidJobData: a value is unknown, missing or does not fit, or the target is in another session or
                database.
            NoSession: no session can be found.
            SchemaMismatch: the session's database has no tables of jobcron's.
        """
        used = session_to_write(session, target)
        made = draft(cls, target, values)
        job = Job(type_id=known_types.type_id(used, cls.type_name), **made.job)
        return cls._with_context(used, job, made.family)

    @classmethod
    def createMultiple(cls, jobs: Iterable[Any], *, session: AnySession | None = None, **values: Any) -> list[int]:
        """Create many jobs in a few statements in the caller's transaction; return their numbers (LP-34).

        All are checked as by `create` before any is written. The numbers are in the order of `jobs`; `get`
        returns the job of a number.

        Args:
            jobs: for each its target, or a dict of what `create` takes, ``target`` included.
            session: as for `create`.
            values: as for `create`, for all of them; a job's own values take precedence.

        Raises:
            InvalidJobData: one of them does not fit; the message says which.
            NoSession: no session can be found.
            SchemaMismatch: the session's database has no tables of jobcron's.
        """
        used, drafts = drafts_of(cls, jobs, session, values)
        return insert_drafts(used, cls, drafts)

    @classmethod
    def acquire(cls, target: Any = None, *, session: AnySession | None = None, **values: Any) -> Self:
        """Return the job for this target that has not started, or create one (LP-09).

        Any number of concurrent callers get the same job. Its row is locked, so that it does not start before
        the caller commits. A RUNNING job may have read the old state already, so it does not count.

        Args:
            target: what the job is about.
            session: as for `create`.
            values: as for `create`; used only for a new job. ``unique_key`` replaces the target's key.

        Raises:
            InvalidJobData: as for `create`; or there is neither a target nor a key.
        """
        used = session_to_write(session, target)
        job: Self = acquire(cls, used, target, draft(cls, target, values))
        return job

    @classmethod
    def get(cls, job_id: int, *, session: AnySession | None = None) -> Self:
        """Return the job of this type with this number.

        Raises:
            LookupError: there is no such job.
        """
        row = session_for(session).scalars(cls._select().where(Job.id == job_id)).unique().one_or_none()
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
        """Iterate over this type's jobs for `target`, whatever their status, the newest first.

        Args:
            target: a mapped object that is in the database.
            session: as for `create`.
        """
        used = session_to_use(session, target)
        used.flush()
        for row in used.scalars(cls._select().where(cls._is_about(target)).order_by(Job.id.desc())).unique():
            yield cls(row)

    @classmethod
    def load(cls, session: Session, job_ids: list[int]) -> dict[int, Self]:
        """Return claimed jobs by number; reload their rows and the objects that they refer to.

        A family's related objects come with its rows. Mapped objects of which the shared row has only the keys
        come in one query for each class.
        """
        rows = session.scalars(
            cls._select().where(Job.id.in_(job_ids)), execution_options={"populate_existing": True}
        ).unique()
        jobs = {job.job.id: job for job in map(cls, rows)}
        load_referred(session, jobs.values())
        return jobs

    @classmethod
    def declared(cls) -> Declared:
        """Return the arguments and the target that the class declares (see `jobcron.jobs.arguments.declared`)."""
        if cls._declared is None:
            cls._declared = declared_by(cls)
        return cls._declared

    @classmethod
    def family_names(cls) -> frozenset[str]:
        """Return the names of a job's values in the family's table."""
        if not cls.has_family:
            return frozenset()
        family: Any = cls.context_class
        return names_of(family)

    @classmethod
    def _select(cls) -> Select[Any]:
        number = select(JobTypeRow.id).where(JobTypeRow.name == cls.type_name)
        of_type = Job.type_id == number.scalar_subquery()
        if not cls.has_family:
            return select(Job).where(of_type)
        family = cls.context_class
        targets = [joinedload(getattr(family, r.key)) for r in many_to_one(family)]
        return select(family).join(family.job).where(of_type).options(contains_eager(family.job), *targets)

    @classmethod
    def _with_context(cls, session: Session, job: Job, values: dict[str, Any]) -> Self:
        session.add(job)
        row: Any = job
        if cls.has_family:
            row = cls.context_class(job_type=cls.class_job_type, job=job, **values)
            session.add(row)
        session.flush()
        return cls(row)

    @classmethod
    def _is_about(cls, target: Any) -> ColumnElement[bool]:
        if cls.has_family:
            is_target: ColumnElement[bool] = getattr(cls.context_class, target_name(cls.context_class)) == target
            return is_target
        return and_(Job.target_type == type_of(target), Job.target_id == key_of(target))


def new_job(session: Session, type_name: str, **values: Any) -> Job:
    """Create a shared row for a job whose class is not a `BaseRunnableJob`: see `IJobSource`.

    Args:
        session: the caller's session.
        type_name: ``family.TYPE``.
        values: values of the row.
    """
    begin_writing(session)
    job = Job(type_id=known_types.type_id(session, type_name), **values)
    session.add(job)
    session.flush()
    return job
