"""The data of a job of several tasks in its row's JSON data: the workspace, and the progress (DBQ-03)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from jobcron.jobs.arguments import json_data
from jobcron.steps import values as given
from jobcron.steps._tasks import place_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

WORKSPACE, STEP, NEXT_TASK = "workspace", "step", "next_task"
"""The keys of a job's JSON data."""


class Workspace:
    """Adds the workspace, and the position among the tasks, to the class of jobs of several tasks."""

    if TYPE_CHECKING:  # attributes of the job class
        name: ClassVar[str]
        max_data_bytes: ClassVar[int]
        max_data_levels: ClassVar[int]
        metadata: dict[str, Any]

        @property
        def session(self) -> Session: ...

        @classmethod
        def task_names(cls) -> list[str]: ...

    _workspace: dict[str, Any] | None = None

    @classmethod
    def checked(cls, workspace: Any) -> dict[str, Any]:
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
        """The shared data (DBQ-03). Changes by a task or hook are stored with its work; others by `save`."""
        if self._workspace is None:
            self._workspace = deepcopy(given.workspace(self.metadata.get(WORKSPACE), f"the workspace of {self!r}"))
        return self._workspace

    @workspace.setter
    def workspace(self, value: dict[str, Any]) -> None:
        self._workspace = value

    def save(self) -> None:
        """Store the changes to the workspace, in the session's transaction.

        Raises:
            InvalidJobData: it cannot be stored.
        """
        if self._workspace is not None:
            self.metadata = {**self.metadata, WORKSPACE: deepcopy(self.checked(self._workspace))}
            self.session.flush()

    def keep(self, step: int) -> None:
        """Store the number of completed tasks, and the workspace; the session writes them when it flushes."""
        names = self.task_names()
        others = {key: value for key, value in self.metadata.items() if key not in (STEP, NEXT_TASK, WORKSPACE)}
        self.metadata = {  # these in the order of jsonb, which then has not to be noted
            **others,
            STEP: step,
            NEXT_TASK: names[step] if step < len(names) else "",
            WORKSPACE: deepcopy(self.checked(self.workspace)),
        }

    def forget_workspace(self) -> None:
        """Read the workspace from the row again."""
        self._workspace = None

    @property
    def step(self) -> int:
        """How many tasks are done; 0 if the row has no number, since the name of the next task decides."""
        found = self.metadata.get(STEP)
        return found if isinstance(found, int) else 0

    @property
    def next_task(self) -> str:
        """The name of the next or running task; empty when all are done.

        It can be set, so that a job continues with another of its tasks.
        """
        return str(self.metadata.get(NEXT_TASK, ""))

    @next_task.setter
    def next_task(self, name: str) -> None:
        place = place_of(self.task_names(), self.step, name, repr(self))
        self.metadata = {**self.metadata, STEP: place, NEXT_TASK: name}
