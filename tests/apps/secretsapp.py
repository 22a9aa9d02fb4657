"""Jobs that print, log, raise and mail secrets: for tests that none of them gets out."""

from __future__ import annotations

import json
import logging
import os

from sqlalchemy import text

from jobcron import BaseRunnableJob, JobType, RetryableJobError, SuspendJobException


class TelltaleType(JobType):
    """The types of these jobs."""

    TELL = 0, "Tell"


class Indiscretion(Exception):
    """The user's fault."""


class TelltaleJob(BaseRunnableJob):
    """Utters the texts of the environment's CANARIES bare, and its own data beside the names of secrets."""

    class_job_type = TelltaleType.TELL
    user_error_types = (Indiscretion,)
    max_retries = 1
    how: str
    api_key: str = ""

    @property
    def said(self) -> str:
        """All secrets in one line."""
        known = " ".join(json.loads(os.environ["CANARIES"]))
        return f"{known} password={self.metadata['password']} Authorization: Token {self.api_key}"

    def run(self) -> None:
        """Utter them."""
        match self.how:
            case "raise" | "hook":
                raise ValueError(self.said)
            case "cause":
                try:
                    raise KeyError(self.said)
                except KeyError as error:
                    raise ValueError("harmless") from error
            case "user":
                raise Indiscretion(self.said)
            case "retry":
                raise RetryableJobError(self.said, seconds=3600)
            case "suspend":
                raise SuspendJobException(self.said)
            case "sql":
                self.session.execute(text(f"SELECT '{self.said}' FROM nowhere".replace(":", r"\:")))
            case "log":
                logging.getLogger("shop").warning("calling with %s", self.said)
            case "print":
                print(self.said, flush=True)

    def afterFailure(self, error: BaseException) -> None:
        """Fail once more."""
        if self.how == "hook":
            raise RuntimeError(self.said)

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell all."""
        more = [("said", self.said), ("api_key", self.api_key), ("metadata", self.metadata)]
        return [*super().getOopsVars(), *more]

    def getOperationDescription(self) -> str:
        """Tell all."""
        return f"sending {self.said}"

    def getErrorRecipients(self) -> list[str]:
        """Tell somebody."""
        return ["boss@example.com"]

    getOopsRecipients = getErrorRecipients
