"""Everything that is measured: names, units, and the port by which a number leaves.

A number is told where the fact is recorded, as one line with what it is about, so that a metric and
the log can be held against each other. Nothing is told until a process has said where to
(`runyard_service.observability.logging` does, to CloudWatch): tests and commands are quiet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, cast

from runyard_service.observability import log_context

Unit = Literal["Count", "Milliseconds", "Seconds", "Percent", "None"]
# What a measure may be divided by beside the stage. Each value of each is a metric that is paid
# for, so never a run, a project, a user or a key.
Dimension = Literal["Agent", "Outcome"]


@dataclass(frozen=True)
class Measure:
    """A metric's name and unit, and what it is divided by beside the stage."""

    name: str
    unit: Unit = "Count"
    by: tuple[Dimension, ...] = ()


_BY_AGENT: tuple[Dimension, ...] = ("Agent",)
_BY_OUTCOME: tuple[Dimension, ...] = ("Outcome",)
_BY_BOTH: tuple[Dimension, ...] = ("Outcome", "Agent")


RUNS_ACCEPTED = Measure("RunsAccepted", by=_BY_AGENT)
"""Runs that were recorded; each is owed an end from then on."""
RUNS_STARTED = Measure("RunsStarted", by=_BY_AGENT)
"""Runs that a worker has begun with."""
TIME_TO_FIRST_EVENT = Measure("TimeToFirstEvent", "Milliseconds", by=_BY_AGENT)
"""From a run's record to its first event: how long it waited for a worker."""
RUNS_ENDED = Measure("RunsEnded", by=_BY_BOTH)
"""Terminal events; by outcome: completed, failed, canceled."""
RUNS_FAILED = Measure("RunsFailed", by=_BY_BOTH)
"""1 for an ended run that the service, the model or the agent has failed, 0 for any other.

A run that a limit or a person's silence or word has ended is no such one.
"""
RUN_TIME = Measure("RunTime", "Milliseconds", by=_BY_BOTH)
"""From a run's record to its end, waits for people included."""
RUNS_RECOVERED = Measure("RunsRecovered")
"""Times that a run was taken up again, by a worker or the sweep."""

STEP_TIME = Measure("StepTime", "Milliseconds", by=_BY_AGENT)
"""A reply of the model and the calls that it asked for."""
MODEL_TIME = Measure("ModelTime", "Milliseconds", by=_BY_AGENT)
TOOL_TIME = Measure("ToolTime", "Milliseconds", by=_BY_AGENT)
"""All calls of one reply, which are made at once."""
INPUT_TOKENS = Measure("InputTokens", by=_BY_AGENT)
OUTPUT_TOKENS = Measure("OutputTokens", by=_BY_AGENT)
CACHED_INPUT_TOKENS = Measure("CachedInputTokens", by=_BY_AGENT)
USD = Measure("Usd", "None", by=_BY_AGENT)
"""What replies cost; one whose price is not known tells nothing."""
DAILY_SPEND_SHARE = Measure("DailySpendShare", "Percent")
"""What is spent and held of a day's cap, at each reply that counts against one."""
TOOL_CALLS = Measure("ToolCalls", by=_BY_OUTCOME)
"""By outcome: completed, failed."""

RUNS_PAUSED = Measure("RunsPaused")
ANSWERS = Measure("Answers", by=_BY_OUTCOME)
"""By outcome: received, expired."""
WAIT_TIME = Measure("WaitTime", "Seconds", by=_BY_OUTCOME)
"""From a question to its answer: how long a person took."""
ANSWER_TO_RESUME = Measure("AnswerToResume", "Milliseconds")
"""From the last answer to the worker that goes on."""

APPEND_CONFLICTS = Measure("AppendConflicts")
"""Appends that were lost to another writer of the same run."""
STREAMS_OPENED = Measure("StreamsOpened")
STREAMS_CLOSED = Measure("StreamsClosed", by=_BY_OUTCOME)
"""By outcome: ended, rotated, disconnected, failed."""
STREAMS_CUT = Measure("StreamsCut", by=_BY_OUTCOME)
"""Closed ones whose reader had reason to expect more: disconnected or failed."""
KEYS_REJECTED = Measure("KeysRejected")
"""Requests with an access key that is unknown, expired or revoked."""

RUNS_SWEPT = Measure("RunsSwept")
"""Runs that the sweep has looked at."""
RUNS_ADRIFT = Measure("RunsAdrift")
"""Those of them that nobody was at work on, 0 among them: told by every sweep."""

MEASURES: Mapping[str, Measure] = {
    measure.name: measure for measure in list(globals().values()) if isinstance(measure, Measure)
}


class About(TypedDict, total=False):
    """What a fact is about: looked up in the log lines, and never a dimension. Never content."""

    run_id: str
    sequence: int
    step: int
    request_id: str
    project_id: str
    agent: str
    error_code: str
    """The code of a run's or a tool call's error."""
    reason: str
    tool: str
    key_id: str
    source: str
    """The address that a request came from."""
    cap_usd: float
    spent_usd: float


@dataclass(frozen=True)
class Reading:
    """Numbers of one fact, and what it is about."""

    fact: str
    values: Mapping[Measure, float]
    dimensions: Mapping[Dimension, str]
    keys: About


def _nowhere(reading: Reading) -> None:
    """Where nobody listens."""


_tell: Callable[[Reading], None] = _nowhere


def tell_to(listener: Callable[[Reading], None] | None) -> Callable[[Reading], None]:
    """Tell all readings of this process to `listener`, or to nobody; gives who heard them so far.

    As with the root logger, there is one for the process.
    """
    global _tell
    before, _tell = _tell, listener or _nowhere
    return before


def record(
    fact: str,
    values: Mapping[Measure, float],
    by: Mapping[Dimension, str] | None = None,
    **keys: Unpack[About],
) -> None:
    """Tell what was measured of a fact: a constant text, numbers, ids."""
    known = cast("About", log_context.known())
    _tell(Reading(fact, values, by or {}, {**known, **keys}))
