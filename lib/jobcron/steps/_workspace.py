"""The data of a job of several tasks in its row: the workspace, and the progress (DBQ-03)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import event, update
from sqlalchemy.orm import Session

from jobcron.database.tables import jobs_connection
from jobcron.errors import ChangedMeanwhile, DefinitionChanged
from jobcron.interfaces import JobStatus, RunningAttempt
from jobcron.jobs.arguments import json_data
from jobcron.jobs.arguments.document import copied, is_same
from jobcron.jobs.job import Job
from jobcron.steps import values as given
from jobcron.steps._progress import DONE, NEXT_TASK, STEP, WORKSPACE, Progress, read, read_first_version, written
from jobcron.steps._tasks import place_of


class Workspace:
    """Adds the workspace and the progress to the class of jobs of several tasks.

    Both are in the row's column `steps`. A run writes it in its own fenced transactions. Other code may write it
    only while the job is not running, and only if the job has not run since the column was read.
    """

    if TYPE_CHECKING:  # attributes of the job class
        name: ClassVar[str]
        max_data_bytes: ClassVar[int]
        max_data_levels: ClassVar[int]
        attempt: RunningAttempt | None

        @property
        def _document(self) -> dict[str, object]: ...

        @property
        def job(self) -> Job: ...

        @job.setter
        def job(self, value: Job) -> None: ...

        @property
        def session(self) -> Session: ...

        @classmethod
        def task_names(cls) -> list[str]: ...

    _workspace: dict[str, Any] | None = None
    _token: int | None = None
    """The row's token when the workspace was read."""

    @classmethod
    def checked(cls, workspace: object) -> dict[str, Any]:
        """Return a workspace that can be stored; None becomes an empty one.

        Raises:
            InvalidJobData: it cannot be stored.
        """
        what = f"the workspace of {cls.name}"
        found = given.workspace(workspace, what)
        json_data.check(found, what, cls.max_data_bytes, cls.max_data_levels - 1)
        return found

    @property
    def workspace(self) -> dict[str, Any]:
        """The data that the tasks share (DBQ-03). In a run each commit of the job stores it, elsewhere `save`."""
        if self._workspace is None:
            self._workspace = copied(given.workspace(self._stored_workspace(), f"the workspace of {self!r}"))
            self._token = self.job.lease_token
        return self._workspace

    @workspace.setter
    def workspace(self, value: dict[str, Any]) -> None:
        if self._workspace is None:
            self._token = self.job.lease_token
        self._workspace = value

    def save(self) -> None:
        """Store the changes to the workspace, in the session's transaction.

        Raises:
            InvalidJobData: it cannot be stored.
            ChangedMeanwhile: the job is running, or has run since the workspace was read.
        """
        if self._workspace is not None and self._has_changed():
            self._write(self._progress())
        self.session.flush()

    def keep(self, progress: Progress) -> None:
        """Store the progress and the workspace of a run; the session writes them when it flushes."""
        steps = self.steps_after(progress)
        if not self.has_steps():
            own = (STEP, NEXT_TASK, WORKSPACE)
            self.job.json_data = {key: value for key, value in self.job.json_data.items() if key not in own}
        self.job.steps = steps

    def has_steps(self) -> bool:
        """Return whether the row stores the progress and the workspace in their own column.

        Rows of jobcron's first version store them in the user's data.
        """
        return self.job.steps is not None

    def steps_after(self, progress: Progress) -> dict[str, object]:
        """Return the value of the column for a progress and the current workspace."""
        return written(progress, copied(self.checked(self.workspace)))

    def keep_workspace(self) -> None:
        """Store the workspace of a run, if it has changed; the session writes it when it flushes."""
        if self._workspace is not None and self._has_changed():
            self.keep(self._progress())

    @contextmanager
    def travelling(self) -> Iterator[None]:
        """Store the workspace with every commit of the job's session in the block, whichever code commits."""

        def store(session: Session) -> None:
            if session.get_nested_transaction() is None:
                self.keep_workspace()

        session = self.session
        event.listen(session, "before_commit", store)
        try:
            yield
        finally:
            event.remove(session, "before_commit", store)

    @classmethod
    def goes_on(cls, data: Mapping[str, object], steps: Mapping[str, object] | None) -> bool:
        """Return whether a task is done, so that the job would continue after it."""
        return bool(data.get(STEP) if steps is None else steps.get(DONE))

    def forget_workspace(self) -> None:
        """Read the workspace from the row again."""
        self._workspace = self._token = None

    @property
    def step(self) -> int:
        """How many tasks are done."""
        return len(self._progress().done)

    @property
    def next_task(self) -> str:
        """The name of the next or running task; empty when all are done.

        Set it to let the job continue with another of its tasks. Like `save`, this may raise `ChangedMeanwhile`.
        """
        progress = self._progress()
        if progress.done and not progress.todo:
            return ""
        names = self.task_names()
        try:
            rest = progress.rest(names, repr(self))
        except DefinitionChanged:
            return progress.next
        return names[rest[0]] if rest else ""

    @next_task.setter
    def next_task(self, name: str) -> None:
        names = self.task_names()
        place = place_of(names, self.step, name, repr(self))
        self._write(Progress(tuple(names[:place]), tuple(names[place:])))

    def _progress(self) -> Progress:
        stored = self.job.steps
        if stored is None:
            return read_first_version(self._document, self.task_names(), repr(self))
        return read(stored, repr(self))

    def _stored_workspace(self) -> object:
        stored = self.job.steps
        return dict.get(self._document if stored is None else stored, WORKSPACE)

    def _has_changed(self) -> bool:
        return not is_same(self._workspace, self._stored_workspace() or {})

    def _write(self, progress: Progress) -> None:
        """Write at once, if the job is not running or this is its run.

        Raises:
            ChangedMeanwhile: see `save`.
        """
        if self.attempt is not None:
            self.keep(progress)
            self.session.flush()
            return
        workspace = copied(self.checked(self.workspace))
        self.session.flush()
        ours = update(Job).where(
            Job.id == self.job.id, Job.lease_token == self._token, Job._status != JobStatus.RUNNING
        )
        changed = jobs_connection(self.session).execute(ours.values(steps=written(progress, workspace)))
        if changed.rowcount != 1:
            raise ChangedMeanwhile(
                f"expected {self!r} not to run, and not to have run since its workspace was read: what its run "
                "stores would be lost. Load the job again when it does not run, and change it then"
            )
        self.session.expire(self.job, ["steps"])
