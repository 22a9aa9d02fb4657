"""Tell a monitoring service that a run has started, and how it has ended: pings as healthchecks.io takes them.

A service that expects a ping and gets none raises the alarm, also when this machine is off. So a ping that fails
is noted in the log, and never fails the run.
"""

from __future__ import annotations

import http.client
import logging
import urllib.request
import uuid
from urllib.parse import urlsplit, urlunsplit

from jobcron._version import __version__

PING_SECONDS = 3.0
"""How long each step of a ping may take: connecting, sending, the answer."""


class Ping:
    """The pings of one run, which share a run id.

    Args:
        url: the URL of the check, which is secret: whoever knows it can ping.
        logger: notes pings that fail.
    """

    def __init__(self, url: str, logger: logging.Logger) -> None:
        self._url = urlsplit(url)
        self._logger = logger
        self._run_id = uuid.uuid4()

    def start(self) -> None:
        """Tell that the run has started."""
        self._send("start")

    def end(self, status: int) -> None:
        """Tell that the run has ended, with this exit status."""
        self._send(str(status))

    def _send(self, what: str) -> None:
        query = "&".join(filter(None, (self._url.query, f"rid={self._run_id}")))
        path = f"{self._url.path.rstrip('/')}/{what}"
        url = urlunsplit(self._url._replace(path=path, query=query))
        request = urllib.request.Request(url, headers={"User-Agent": f"jobcron/{__version__}"})
        try:
            with urllib.request.urlopen(request, timeout=PING_SECONDS):
                pass
        except (OSError, ValueError, http.client.HTTPException) as error:  # a refusal is an OSError as well
            self._logger.info("The ping /%s to %s failed: %s", what, self._url.hostname, error)
