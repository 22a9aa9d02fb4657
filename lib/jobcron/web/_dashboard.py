"""An instance as the dashboard has it: its settings, its database, its secrets; opened at the first request."""

from __future__ import annotations

import logging
import threading
from time import monotonic

from jobcron.database.database import Database
from jobcron.database.version import check_file, check_schema
from jobcron.errors import UserMistake
from jobcron.runner.application import load_application
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.named import in_words
from jobcron.settings.secrets import Redactor
from jobcron.web._access import Authorize

logger = logging.getLogger("jobcron.web")


class Dashboard:
    """An instance.

    Args:
        config: as for ``--config``; None: the instance of JOBCRON_CONFIG.
        authorize: says who may look and act.

    Attributes:
        settings: the instance's settings.
        authorize: as given.
        redactor: hides the instance's secrets in everything that is shown.
        database: the instance's database; its connections are the dashboard's own.
        broken: why the application could not be imported; None: it could.

    Raises:
        ConfigurationError: the configuration is wrong.
    """

    def __init__(self, config: str | None, authorize: Authorize) -> None:
        self.settings = load_settings(config)
        self.authorize = authorize
        self.redactor = Redactor(self.settings.secrets())
        self.database = Database(self.settings.database_url, origin=self.settings.database_origin)
        self.broken: str | None = None
        self._lock = threading.Lock()
        self._is_open = False
        self._failure: tuple[float, UserMistake] | None = None

    def open(self) -> None:
        """Import the application, and check that the database has the tables of this version; once.

        A host's application may be what imports the dashboard, so that it cannot be imported earlier. Without it
        jobs can still be looked at and moved: a broken release may be why somebody does.

        Raises:
            UserMistake: the database cannot be used.
        """
        if self._is_open:
            return
        asked = monotonic()
        with self._lock:
            if self._is_open:
                return
            if self._failure is not None and self._failure[0] > asked:
                # It failed while we waited. One after another would wait for a database that says nothing.
                raise self._failure[1].with_traceback(None)
            try:
                self._open()
            except UserMistake as error:
                self._failure = monotonic(), error
                raise
            self._is_open, self._failure = True, None

    def _open(self) -> None:
        with presented(self.settings):
            try:
                load_application(self.settings)
                self.broken = None
            except Exception as error:  # whatever a broken release raises
                self.broken = in_words(error)
                logger.warning("going on without the application: %s", self.broken)
        check_file(self.settings.database_url, self.database.where)
        with self.database.begin(writing=False) as connection:
            check_schema(connection, self.database.where, logger)
