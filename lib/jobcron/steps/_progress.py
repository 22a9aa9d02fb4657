"""The progress of a job of several tasks: the names of the tasks that are done, and of those to be done (DBQ-02).

It is stored in a column of its own, which only jobcron writes. Rows of jobcron's first version store it in the
user's data, as the number of tasks done and the name of the next one. Such rows can still be read: see
``tests/steps/samples``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobcron.errors import DefinitionChanged, InvalidJobData
from jobcron.jobs.arguments.json_data import shown
from jobcron.steps._tasks import place_of

VERSION = 2
"""The version of what is written."""

DONE, TODO, ENDING, WORKSPACE = "done", "todo", "ending", "workspace"
"""The keys of a row's `steps`, besides ``version``."""

STEP, NEXT_TASK = "step", "next_task"
"""The keys that, with `WORKSPACE`, the user's data has in version 1."""


class Progress(NamedTuple):
    """Which tasks of a job are done, and which are to be done.

    Attributes:
        done: the names of the tasks that are done, in their order.
        todo: the names of the tasks to be done, as the definition was when this was written. It may be empty if no
            task is done: the job then runs all tasks that the definition has.
        is_ending: whether all tasks are done, and the job only has to be completed.
    """

    done: tuple[str, ...] = ()
    todo: tuple[str, ...] = ()
    is_ending: bool = False

    @property
    def next(self) -> str:
        """The name of the next task; empty if there is none, or if only the definition names it."""
        return self.todo[0] if self.todo else ""

    def rest(self, names: Sequence[str], what: str) -> list[int]:
        """Return the indexes of the tasks to run: the tasks of the definition that are not done, in its order.

        Different tasks may have the same name, as lambdas do: they count as done from the first one on. Tasks may
        be added, moved and removed while jobs are under way. A new task before the job's next task is not run:
        the job has passed it already.

        Args:
            names: the names of the tasks as they are defined now.
            what: the job, for messages.

        Raises:
            DefinitionChanged: the job's next task is no longer among `names`; it may have been removed or renamed.
        """
        if not self.todo:  # not begun; or ended, and requeued as a whole
            return [] if self.is_ending else [*range(len(names))]
        done, todo, rest, is_reached = Counter(self.done), Counter(self.todo), [], False
        for place, name in enumerate(names):
            if done[name]:
                done[name] -= 1
            elif is_reached or todo[name]:
                todo[name] -= 1
                is_reached = is_reached or name == self.next
                rest.append(place)
        if not is_reached:
            raise DefinitionChanged(
                f"expected {self.next} among the tasks of {what}, as its task {len(self.done) + 1}: it is not "
                f"there; the tasks are {', '.join(names)}. Put it back, or let the job begin with another one by "
                "setting its next_task"
            )
        return rest

    def after(self, name: str, rest: Sequence[str]) -> Progress:
        """Return the progress after one more task is done.

        Args:
            name: the name of the task that is done.
            rest: the names of the tasks that follow.
        """
        return Progress((*(self.done if self.todo else ()), name), tuple(rest))


def written(progress: Progress, workspace: dict[str, object]) -> dict[str, object]:
    """Return a progress and a workspace as the row's column stores them, with the keys in the order of jsonb."""
    ending = {ENDING: True} if progress.is_ending else {}
    known = {DONE: [*progress.done], TODO: [*progress.todo], **ending, "version": VERSION}
    return {**known, WORKSPACE: workspace}


def read(data: Mapping[str, object], what: str) -> Progress:
    """Return the progress in a row's column.

    Raises:
        InvalidJobData: the data do not have the form that `written` returns.
    """
    if data.get("version") != VERSION:
        raise InvalidJobData(f"expected the progress of {what} in a known form, a newer version has written it")
    return Progress(_names(data, DONE, what), _names(data, TODO, what), data.get(ENDING) is True)


def _names(data: Mapping[str, object], key: str, what: str) -> tuple[str, ...]:
    found = data.get(key)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise InvalidJobData(f"expected {key} of {what} to be names of tasks, got {shown(found)}")
    return tuple(found)


def read_first_version(data: Mapping[str, object], names: Sequence[str], what: str) -> Progress:
    """Return the progress that a row of jobcron's first version stores in the user's data.

    Args:
        data: the user's data.
        names: the names of the tasks as they are defined now; the row only has the number of tasks done.
        what: the job, for messages.
    """
    found, wanted = data.get(STEP), str(data.get(NEXT_TASK, ""))
    step = found if isinstance(found, int) and found > 0 else 0
    if not wanted:
        return Progress(tuple(names[:step]))
    try:
        place = place_of(names, step, wanted, what)
    except DefinitionChanged:
        return Progress(tuple(names[:step]), (wanted,))
    return Progress(tuple(names[:place]), tuple(names[place:]))
