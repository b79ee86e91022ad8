"""Names and units of all metrics, and the function that records their values.

The code that records a fact also records its numbers, in a single log line with the ids of the
fact. So every value of a metric can be looked up in the log. A process emits nothing until it
sets an emitter, as `runyard_service.observability.logging` does: tests and commands are quiet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, cast

from runyard_service.observability import log_context

Unit = Literal["Count", "Milliseconds", "Seconds", "Percent", "None"]
# Dimensions in addition to the stage. CloudWatch charges for each value of each dimension, so there
# is none for runs, projects, users or keys.
Dimension = Literal["Agent", "Outcome"]


@dataclass(frozen=True)
class Measure:
    """The name, unit and dimensions of a metric, without the dimension of the stage."""

    name: str
    unit: Unit = "Count"
    by: tuple[Dimension, ...] = ()


_BY_AGENT: tuple[Dimension, ...] = ("Agent",)
_BY_OUTCOME: tuple[Dimension, ...] = ("Outcome",)
_BY_BOTH: tuple[Dimension, ...] = ("Outcome", "Agent")


RUNS_ACCEPTED = Measure("RunsAccepted", by=_BY_AGENT)
"""Runs that were recorded. From then on the service must bring each to an end."""
RUNS_STARTED = Measure("RunsStarted", by=_BY_AGENT)
"""Runs that a worker has started."""
TIME_TO_FIRST_EVENT = Measure("TimeToFirstEvent", "Milliseconds", by=_BY_AGENT)
"""From a run's record to its first event: how long it waited for a worker."""
RUNS_ENDED = Measure("RunsEnded", by=_BY_BOTH)
"""Terminal events; by outcome: completed, failed, canceled."""
RUNS_FAILED = Measure("RunsFailed", by=_BY_BOTH)
"""1 for a run that failed because of a model, an agent or the service, 0 for others.

Runs ended by a limit, an expired input request or a person's decision count as 0.
"""
RUN_DURATION = Measure("RunDuration", "Milliseconds", by=_BY_BOTH)
"""From a run's record to its end, including waits for people."""
RUNS_RECOVERED = Measure("RunsRecovered")
"""Recoveries of a run, by a worker or the sweep."""

STEP_DURATION = Measure("StepDuration", "Milliseconds", by=_BY_AGENT)
"""A model response and the tool calls in it."""
MODEL_DURATION = Measure("ModelDuration", "Milliseconds", by=_BY_AGENT)
TOOL_DURATION = Measure("ToolDuration", "Milliseconds", by=_BY_AGENT)
"""All tool calls of a response, which run concurrently."""
INPUT_TOKENS = Measure("InputTokens", by=_BY_AGENT)
OUTPUT_TOKENS = Measure("OutputTokens", by=_BY_AGENT)
CACHED_INPUT_TOKENS = Measure("CachedInputTokens", by=_BY_AGENT)
COST_USD = Measure("CostUsd", "None", by=_BY_AGENT)
"""Cost of responses in USD; no value for a model without a known price."""
DAILY_SPEND_SHARE = Measure("DailySpendShare", "Percent")
"""Spent and reserved share of a daily cap, at each response that counts against a cap."""
TOOL_CALLS = Measure("ToolCalls", by=_BY_OUTCOME)
"""By outcome: completed, failed."""

RUNS_PAUSED = Measure("RunsPaused")
ANSWERS = Measure("Answers", by=_BY_OUTCOME)
"""By outcome: received, expired."""
WAIT_DURATION = Measure("WaitDuration", "Seconds", by=_BY_OUTCOME)
"""From an input request to its answer."""
ANSWER_TO_RESUME = Measure("AnswerToResume", "Milliseconds")
"""From the last answer to the worker that continues."""

APPEND_CONFLICTS = Measure("AppendConflicts")
"""Appends that lost to another writer of the same run."""
STREAMS_OPENED = Measure("StreamsOpened")
STREAMS_CLOSED = Measure("StreamsClosed", by=_BY_OUTCOME)
"""By outcome: ended, max_age, disconnected, failed."""
STREAMS_DISCONNECTED = Measure("StreamsDisconnected", by=_BY_OUTCOME)
"""Closed streams with the outcome disconnected or failed."""
KEYS_REJECTED = Measure("KeysRejected")
"""Requests with an access key that is unknown, expired or revoked."""

RUNS_SWEPT = Measure("RunsSwept")
"""Runs that the sweep checked."""
RUNS_ORPHANED = Measure("RunsOrphaned")
"""Checked runs that no execution works on. Every sweep records it, also 0."""

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
