"""What can be done to jobs from a page: one job, several, or all that match; first a count, then the act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from jobcron.errors import ConfigurationError, InvalidJobData, UserMistake
from jobcron.interfaces import JobStatus
from jobcron.operations import acts
from jobcron.operations.acts import Act, Outcome
from jobcron.operations.asking import DONE, age_of, moment_of
from jobcron.operations.pauses import REASON_LENGTH

MOST = 5_000
"""The most jobs that one request moves: so it ends in time, and says what is left."""

NO_CHANNEL = "none"
"""In the form that moves jobs: no channel of their own."""

REASONS = 20
"""How many reasons of refusals are shown, each with the number of jobs."""

Form = Mapping[str, str]


@dataclass(frozen=True)
class Offer:
    """Something that can be done to jobs.

    Attributes:
        name: its name, as of the subcommand.
        title: what the button says.
        told: what it does, in a sentence.
        make: makes the act of what a form says.
        fields: what the form asks for.
        is_grave: whether it cannot be undone, or ends work.
    """

    name: str
    title: str
    told: str
    make: Callable[[Form], Act]
    fields: tuple[str, ...] = ()
    is_grave: bool = False


def int_of(form: Form, name: str) -> int | None:
    """Return a number that a page has put into its own form; None: there is none."""
    text = form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def reason_of(form: Form) -> str | None:
    """Return the reason that a form gives.

    Raises:
        ConfigurationError: it is too long.
    """
    text = form.get("reason", "").strip()
    if len(text) > REASON_LENGTH:
        raise ConfigurationError(f"Reason: expected at most {REASON_LENGTH:,} characters, got: {len(text):,}")
    return text or None


def _postpone(form: Form) -> Act:
    text = form.get("by", "").strip()
    try:
        return acts.postpone(age_of(text), _spread(form))
    except ValueError:
        pass
    try:
        return acts.postpone_until(moment_of(text))
    except ValueError as error:
        raise ConfigurationError(f"Postpone by: expected a duration such as 2h, or a time; {error}") from error


def _priority(form: Form) -> Act:
    text = form.get("priority", "").strip()
    try:
        return acts.set_priority(int(text))
    except ValueError:
        raise ConfigurationError(f"Priority: expected a whole number, lowest first, got: {text!r}") from None


def _move(form: Form) -> Act:
    queue, channel = form.get("queue_to", "").strip(), form.get("channel_to", "").strip()
    if queue and channel:
        raise ConfigurationError(f"Move: expected a queue or a channel, got both: {queue!r} and {channel!r}")
    if channel:
        return acts.move_to_channel(None if channel == NO_CHANNEL else channel)
    return acts.move(queue)


def _spread(form: Form) -> timedelta | None:
    text = form.get("spread", "").strip()
    try:
        return age_of(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"Spread over: {error}") from error


_CUT_OFF = "One that is running can no longer commit what it does."

_FOR_GOOD = "This cannot be undone."

_OFFERS = (
    Offer("retry", "Retry", "They run again, afresh.", lambda form: acts.retry(_spread(form)), ("spread",)),
    Offer("run-now", "Run now", "They are due at once.", lambda form: acts.run_now(_spread(form)), ("spread",)),
    Offer("resume", "Resume", "They wait to be run again.", lambda form: acts.resume(_spread(form)), ("spread",)),
    Offer("suspend", "Suspend", "They are put aside until somebody resumes them.", lambda form: acts.suspend()),
    Offer("postpone", "Postpone", "They are due later.", _postpone, ("by", "spread")),
    Offer("priority", "Change priority", "The lowest priority goes first.", _priority, ("priority",)),
    Offer("move", "Move", "They go to another queue, or to another channel.", _move, ("queue_to", "channel_to")),
    Offer("set-done", "Set done", "They count as completed, done in another way.", lambda form: acts.set_done()),
    Offer("cancel", "Cancel", f"They are not run. {_CUT_OFF}", lambda form: acts.cancel(), is_grave=True),
    Offer(
        "delete", "Delete", f"They and their histories go. {_FOR_GOOD}", lambda form: acts.delete(), is_grave=True
    ),
)

BULK = {offer.name: offer for offer in _OFFERS}
"""All of them, by name, in the order of the buttons."""

_EXAMPLES = {"by": "1h", "priority": "10", "queue_to": "default"}
"""Values with which an act can be made to ask it for its statuses."""


def offers_for(status: JobStatus) -> list[Offer]:
    """Return what can be done to a job that has this status."""
    return [offer for offer in _OFFERS if status in offer.make(_EXAMPLES).change.allowed]


def act_of(form: Form) -> tuple[Offer, Act]:
    """Return what a form wants done.

    Raises:
        ConfigurationError: there is no such act, or a value of it is wrong.
    """
    name = form.get("act", "")
    if name not in BULK:
        raise ConfigurationError(f"expected one of {', '.join(BULK)}, got: {name!r}")
    try:
        return BULK[name], BULK[name].make(form)
    except InvalidJobData as error:
        raise ConfigurationError(str(error)) from error


@dataclass(frozen=True)
class Result:
    """What became of jobs.

    Attributes:
        name: what was done.
        done: what has become of the jobs that were moved, such as "cancelled".
        moved: the numbers of the jobs that were moved.
        refused: how many were left as they were, by the reason; the commonest first.
        examples: a job for each of these reasons.
        act: the number of the act, by which it can be undone; None: it has none.
        error: why it ended early; None: it did not.
        is_full: whether there may be more jobs, which are left for another time.
    """

    name: str
    done: str
    moved: tuple[int, ...]
    refused: tuple[tuple[str, int], ...]
    examples: dict[str, int]
    act: int | None
    error: str | None
    is_full: bool

    @property
    def told(self) -> str:
        """What became of how many jobs, for the log."""
        act = "" if self.act is None else f", act {self.act}"
        error = "" if self.error is None else f"; it ended early: {self.error}"
        return f"{len(self.moved)} {self.done}, {sum(number for _, number in self.refused)} refused{act}{error}"


def gathered(act: str, name: str, outcomes: Iterator[Outcome]) -> Result:
    """Do it, and return what became of the jobs, also if it ends early: what is done stays done.

    Args:
        act: the name of the act.
        name: what is done, for people.
        outcomes: do it, when they are asked for.
    """
    moved: list[int] = []
    refused: Counter[str] = Counter()
    examples: dict[str, int] = {}
    number: int | None = None
    error: str | None = None
    try:
        for outcome in outcomes:
            moved += outcome.moved
            number = outcome.act
            for refusal in outcome.refused:
                refused[refusal.reason] += 1
                examples.setdefault(refusal.reason, refusal.job)
    except UserMistake as mistake:
        if not moved and not refused:
            raise
        error = str(mistake)
    is_full = len(moved) + refused.total() >= MOST
    reasons = tuple(refused.most_common(REASONS))
    return Result(name, DONE[act], tuple(moved), reasons, examples, number, error, is_full)
