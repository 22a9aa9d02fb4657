"""Which runs that find nothing are over with the tick, which writes their row, and which look around.

To look around is to import the application, look whether the configuration and the database go with it, confirm
the schedules and tell what is amiss, for all sections at once. One section does that for its instance, about once
in each ``activity_interval``; and each section once after the code or the configuration has changed.
"""

# why: decisions 2026-11-30, one section looks around for its instance

from __future__ import annotations

import os
import time
from contextlib import suppress

from jobcron.scripts.code_stamp import sections_seen
from jobcron.settings.directories import write_whole
from jobcron.settings.settings import Section, Settings

NAME = "looked-around"
"""A file in the state directory, of which only the times count.

It was modified when a run on this machine last looked around for all sections. Its time of access, which nobody
else changes since nobody reads it, is when a run last took the turn to do that.
"""

RETRY_SECONDS = 60.0
"""After which time another run looks around if the one whose turn it was has not."""


class QuietRuns:
    """Decides for one tick, or for one look of a worker, whose rows it may write.

    Args:
        settings: the instance's.
        takes_turns: whether the run that is to look around is one of this process, which begins at once. Else a
            process that is started for it decides again.
        tells_itself: whether this process reports metrics and sends pings for a run whose row was written.
    """

    def __init__(self, settings: Settings, *, takes_turns: bool = True, tells_itself: bool = False) -> None:
        self._settings = settings
        self._takes_turns = takes_turns
        self._tells_itself = tells_itself
        self._seen: list[str] | None = None
        self._is_given = False

    def may_note(self, name: str) -> bool:
        """Return whether the tick may write the row of a section's run; False: the section has a full run."""
        if not self._tells_itself and is_told_of(self._settings, self._settings.sections.get(name)):
            return False
        if self._seen is None:
            self._seen = sections_seen(self._settings)
        return name in self._seen and not self._is_turn()

    def _is_turn(self) -> bool:
        """Return whether it is time to look around, and give the turn to nobody else."""
        settings, now = self._settings, time.time()
        looked, taken = _times(settings)
        if 0 <= now - looked < settings.activity_interval / 2:
            return False
        if self._is_given or (taken > looked and 0 <= now - taken < RETRY_SECONDS):
            return False
        if taken - looked > settings.activity_interval:
            return True  # who had the turn could not look: then each section is to say so
        self._is_given = True
        if self._takes_turns:
            # A time to come is of a clock that was ahead: nobody has looked now.
            looked = looked if looked <= now else now - settings.activity_interval / 2
            with suppress(OSError):
                os.utime(_file(settings), (now, looked))
        return True


def is_told_of(settings: Settings, section: Section | None) -> bool:
    """Return whether metrics or pings tell of each run of a section that is written."""
    has_ping = section is None or section.ping_url is not None
    return has_ping or settings.metrics_dir is not None or settings.metrics_hook is not None


def is_turn(settings: Settings) -> bool:
    """Return whether nobody has looked around for all sections for a while, so that the run that asks does."""
    return not 0 <= time.time() - _times(settings)[0] < settings.activity_interval / 2


def note_look(settings: Settings) -> None:
    """Note that a run has looked around for all sections; if it cannot be noted, the next one looks."""
    with suppress(OSError):
        write_whole(_file(settings), b"", is_synced=False)


def in_turn(sections: list[Section], interval: float) -> list[Section]:
    """Return sections beginning with another one in each interval: the first whose row is due looks around.

    So no section does that always, whose role may lack rights.
    """
    first = int(time.time() // interval) % max(1, len(sections))
    return sections[first:] + sections[:first]


def _times(settings: Settings) -> tuple[float, float]:
    """Return when somebody last looked around, and last took the turn to do that."""
    try:
        status = os.stat(_file(settings))
    except OSError:
        return 0.0, 0.0
    return status.st_mtime, status.st_atime


def _file(settings: Settings) -> str:
    return os.path.join(settings.state_dir, NAME)
