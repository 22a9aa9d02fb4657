"""A job that fails in as many ways as a report can be odd: for the tests of reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from jobcron import BaseRunnableJob, Job, JobType

SECTIONS = f"""
[act]
source_interface: fooapp.IActJobSource

[do_foo]
source_interface: fooapp.IDoFooJobSource

[fail]
source_interface: {__name__}.FailJob
"""


class OopsJobType(JobType):
    """Types of jobs for these tests."""

    FAIL = 1


class TheUsersFault(Exception):
    """An error that is mailed."""


class Nasty(Exception):
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no text either")


class Unbearable:
    """Cannot be shown at all."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def itself() -> list[Any]:
    """Return a list that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    return loop


ODD_VARIABLES: dict[str, Any] = {
    "not pairs": ["a", "b"],
    "names that are no texts": [(5, "five"), (None, "none")],
    "a loop": [("loop", itself())],
    "unbearable": [("thing", Unbearable())],
    "huge": [("blob", "x" * 5_000_000)],
    "many": [(f"n{n}", n) for n in range(100_000)],
    "surrogates": [("s\udc80", "v\udc80\0")],
    "nothing": None,
    "nan": [("n", float("nan")), ("i", float("inf"))],
}


class FailJob(BaseRunnableJob[Job]):
    """Fails as its data says."""

    class_job_type = OopsJobType.FAIL
    user_error_types = (TheUsersFault,)
    retry_delay = timedelta(hours=1)

    def run(self) -> None:
        """Raise something."""
        message = self.metadata.get("message", "")
        message = message.replace("<surrogate>", "\udc80").replace("<nul>", "\0")
        match self.metadata["kind"]:
            case "value":
                raise ValueError(message * self.metadata.get("times", 1))
            case "user":
                raise TheUsersFault(message * self.metadata.get("times", 1))
            case "nasty":
                raise Nasty
            case "chain":
                try:
                    try:
                        raise KeyError("the root")
                    except KeyError as error:
                        raise LookupError("the cause") from error
                except LookupError:
                    self.metadata["unknown"]["key"]  # a context, not a cause
            case "group":
                raise ExceptionGroup("two at once", [ValueError("the first"), Nasty(), KeyError("the third")])
            case "loop":
                first, second = ValueError("first"), ValueError("second")
                first.__cause__, second.__cause__ = second, first
                raise first

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell what the data says."""
        if "odd" in self.metadata:
            return cast(list[tuple[str, object]], ODD_VARIABLES[self.metadata["odd"]])
        return [*super().getOopsVars(), *self.metadata.get("vars", {}).items()]

    def getErrorRecipients(self) -> list[str]:
        """Tell somebody."""
        if self.metadata.get("bad_mail"):
            raise ValueError(self.metadata["bad_mail"])
        return ["boss@example.com"]
