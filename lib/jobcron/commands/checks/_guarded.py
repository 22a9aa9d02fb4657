"""Run a check of ``jobcron check-config`` so that the next one runs as well, whatever becomes of this one."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator

from sqlalchemy.exc import DBAPIError

from jobcron.commands._output import Finding
from jobcron.database.trouble import first_line
from jobcron.errors import UserMistake
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Settings


def guarded(settings: Settings, check: Callable[[Settings], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; the error that ends it is a finding too, without passwords."""
    try:
        yield from check(settings)
    except UserMistake as error:
        found = Finding(str(error), error.exit_status)
    except DBAPIError as error:
        found = Finding(f"database: {first_line(error.orig)}", 1)
    except (Exception, SystemExit) as error:  # most likely raised by the application; it would end a run, too
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"(in {last.filename}, line {last.lineno})"
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        found = Finding(f"unexpected {type(error).__name__}: {error} {place}{notes}", 1)
    else:
        return
    yield found._replace(text=Redactor(settings.secrets()).text(found.text))
