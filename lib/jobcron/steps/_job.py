"""The class of jobs of several tasks: define them, create them, and see their state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from jobcron.database.sessions import AnySession
from jobcron.database.tables import Event
from jobcron.errors import ConfigurationError, IncompleteJobType
from jobcron.interfaces import JobStatus
from jobcron.jobs.arguments.positional import one_without_name
from jobcron.jobs.draft import Draft, session_to_write
from jobcron.jobs.history import EventKind
from jobcron.jobs.job import Job
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.steps import values as given
from jobcron.steps._checks import HOOKS, check_definition, check_task, check_values
from jobcron.steps._progress import WORKSPACE, Progress, written
from jobcron.steps._running import check_tasks, failed, run_hook, run_tasks
from jobcron.steps._state import State, state_of
from jobcron.steps._tasks import AnyTask, Hooks, Task, resolve, task_name
from jobcron.steps._workspace import Workspace


class steps(NamedTuple):
    """The job type of one definition; this class's name is the family's name.

    Attributes:
        name: the definition's name.
        title: the name for people.
    """

    name: str
    title: str


class StepsJob(Hooks, Workspace, BaseRunnableJob):
    """A job of several tasks, each a function of the job (DBQ-01, DBQ-02).

    A subclass names the definition and lists the tasks, as functions or their dotted names::

        class ImportCats(StepsJob):
            name = "import_cats"
            tasks = [fetch, store, "shop.cats.report"]

    Alternatively, it lists none, and the decorator `task` adds functions as tasks, one after the other. Hooks are
    methods, functions or dotted names (DBQ-07).
    """

    name: ClassVar[str] = ""
    """The jobs' name: for `create`, for ``jobcron create_job``, and in the type ``steps.NAME``."""

    tasks: ClassVar[Sequence[Task]] = ()
    """The tasks, in the order in which they run, each in a separate transaction."""

    default_queue: ClassVar[str] = "default"
    """The queue of jobs that are created without one."""

    defined_in: ClassVar[str] = ""
    """Where the definition is, for messages; by default the class."""

    tells_stopping: ClassVar[bool] = True
    """Whether the job's history records that its process was asked to stop."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Make the class the job type ``steps.NAME``.

        Raises:
            IncompleteJobType: a part of the definition is wrong.
            DuplicateJobType: another class has the name.
        """
        if cls.name or cls.tasks:
            check_definition(cls)
            cls.class_job_type = steps(cls.name, cls.name.replace("_", " ").capitalize())
            cls.defined_in = cls.__dict__.get("defined_in") or f"{cls.__module__}.{cls.__qualname__}"
        check_values(cls)
        if "priority" in cls.__dict__:
            cls.priority = given.stored_priority(cls.priority)
        super().__init_subclass__(**kwargs)

    def __init__(self, context: Job) -> None:
        super().__init__(context)
        self.shown_state: State | None = None
        self._is_new = False

    @classmethod
    def task(cls, function: AnyTask) -> AnyTask:
        """Add a function as the next task of these jobs; use it as a decorator. The function stays as it is.

        All tasks must be in the module of the class: otherwise their order would depend on the order of imports.

        Raises:
            IncompleteJobType: `function` is not an ordinary function, or it is from another module.
        """
        check_task(function, cls.defined_in)
        if function.__module__ != cls.__module__:
            raise IncompleteJobType(
                f"expected the functions that {cls.__name__}.task decorates to be in {cls.__module__}, got "
                f"{task_name(function)}: let the definition list its tasks instead"
            )
        cls.tasks = [*cls.tasks, function]
        return function

    @classmethod
    def task_names(cls) -> list[str]:
        """Return the names of the tasks, as rows hold them."""
        return [task_name(task) for task in cls.tasks]

    @classmethod
    def check(cls) -> None:
        """Check that each task and hook exists.

        Raises:
            ConfigurationError: a task or hook does not exist, or there is no task.
        """
        if not cls.tasks:
            raise ConfigurationError(
                f"{cls.defined_in}: expected tasks, found none: list them, or decorate functions with "
                f"@{cls.__name__}.task"
            )
        for task in cls.tasks:
            resolve(task, cls.defined_in)
        for name in HOOKS:
            if isinstance(hook := getattr(cls, name), str):
                resolve(hook, f"{cls.defined_in}, {name}")

    @classmethod
    @one_without_name
    def create(
        cls,
        target: Any = None,
        *,
        session: AnySession | None = None,
        workspace: dict[str, Any] | None = None,
        priority: int | None = None,
        run_after: datetime | None = None,
        **values: Any,
    ) -> Self:
        """Create a job, in the caller's transaction, and call the creation hook.

        Args:
            target, session: as for `BaseRunnableJobSource.create`.
            workspace: the initial workspace, as JSON data.
            priority: the highest runs first; by default that of the definition, or else 0.
            run_after: the job does not run before this time.
            values: ``queue_name``, and other values that `BaseRunnableJobSource.create` takes.

        Raises:
            InvalidJobData: a value does not fit.
            IncompleteJobType: the definition has no tasks.
            Exception: what the creation hook raises; no job is created then.
        """
        values = cls._values(workspace, priority, run_after, values)
        used = session_to_write(session, target)
        with cls._savepoint(used):
            job = super().create(target, session=used, **values)
            job._begin()
        return job

    @classmethod
    @one_without_name
    def createMultiple(cls, jobs: Iterable[Any], *, session: AnySession | None = None, **values: Any) -> list[int]:
        """Create many jobs, all or none, and return their numbers; call the creation hook for each.

        Args:
            jobs: for each job a dict of arguments of `create`, such as ``workspace``.
            session: as for `create`.
            values: as for `create`, for all jobs.
        """
        used = session_to_write(session, None)
        with used.begin_nested():
            return [cls.create(session=used, **{**values, **job}).id for job in jobs]

    @classmethod
    @one_without_name
    def acquire(
        cls,
        target: Any = None,
        *,
        session: AnySession | None = None,
        workspace: dict[str, Any] | None = None,
        priority: int | None = None,
        run_after: datetime | None = None,
        **values: Any,
    ) -> Self:
        """Return the job that has not started yet, or create one: see `BaseRunnableJobSource.acquire`."""
        values = cls._values(workspace, priority, run_after, values)
        used = session_to_write(session, target)
        with cls._savepoint(used):
            job = super().acquire(target, session=used, **values)
            job._begin()
        return job

    @classmethod
    def _savepoint(cls, session: Session) -> AbstractContextManager[object]:
        """Return a savepoint that undoes only the creation of a job, in case its hook raises."""
        return nullcontext() if cls.creation_hook is None else session.begin_nested()

    @classmethod
    def _values(
        cls, workspace: object, priority: int | None, run_after: datetime | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the values of a new job's row, in jobcron's own terms."""
        if priority is not None:
            values["priority"] = given.stored_priority(priority)
        if run_after is not None:
            values["scheduled_start"] = given.due(run_after)
        values["queue_name"] = given.queue(values.get("queue_name", cls.default_queue))
        values[WORKSPACE] = cls.checked(workspace)
        return values

    @classmethod
    def _draft(cls, target: object, values: dict[str, object]) -> Draft:
        if not cls.tasks:
            raise IncompleteJobType(f"expected {cls.defined_in} to have tasks, it has none")
        workspace = given.workspace(values.pop(WORKSPACE, None), "the workspace")
        made = super()._draft(target, values)
        made.job["steps"] = written(Progress(), workspace)
        return made

    @classmethod
    def _new(cls, session: Session, row: object) -> Self:
        made = super()._new(session, row)
        made._is_new = True
        return made

    def _begin(self) -> None:
        """Call the creation hook, if the job is new."""
        if self._is_new and self.creation_hook is not None:
            run_hook(self, "creation_hook")
            self.save()

    @property
    def state(self) -> State:
        """The job's state, in the terms of django-db-queue: see `State`."""
        return self.shown_state or state_of(
            self.status, self.step, self.status is JobStatus.RUNNING and self._stops
        )

    @property
    def _stops(self) -> bool:
        if self.attempt is not None:
            return self.attempt.must_stop()
        told = exists().where(
            Event.job_id == self.id, Event.kind == EventKind.STOPPING, Event.lease_token == self.job.lease_token
        )
        return bool(self.session.scalar(select(told)))

    @property
    def created(self) -> datetime:
        """When the job was created."""
        return self.date_created

    @property
    def queue_name(self) -> str:
        """The queue that the job is in."""
        return self.job.queue_name

    @property
    def run_after(self) -> datetime:
        """The time before which the job does not run."""
        return self.job.scheduled_start

    def check_code(self) -> None:
        """Check that this code has everything that the row names, including the tasks."""
        super().check_code()
        check_tasks(self)

    def checkpoint(self) -> None:
        """Commit the work so far, and the workspace with it; see `BaseRunnableJob.checkpoint`."""
        if self.attempt is not None:
            self.keep_workspace()
        super().checkpoint()

    def run(self) -> None:
        """Run the remaining tasks."""
        run_tasks(self)

    def afterFailure(self, error: BaseException) -> None:
        """Call the hooks that follow a failure; see `jobcron.runner.failure`."""
        failed(self, error)

    def getOperationDescription(self) -> str:
        """See `IRunnableJob`."""
        return f"running {self.next_task or self.name}"

    def getOopsVars(self) -> list[tuple[str, object]]:
        """See `IRunnableJob`; the workspace may contain secrets and is not shown."""
        place = [("next_task", self.next_task), ("step", self.step)]
        return [*super().getOopsVars(), ("job_name", self.name), *place]


StepsJob.priority = given.Priority()  # type: ignore[assignment]
