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
# Dimensions in addition to the stack. CloudWatch charges for each value of each dimension, so there
# is none for runs, projects, users or keys.
Dimension = Literal["Agent", "Outcome"]


@dataclass(frozen=True)
class Metric:
    """The name, unit and dimensions of a metric, without the dimension of the stack."""

    name: str
    unit: Unit = "Count"
    by: tuple[Dimension, ...] = ()


_BY_AGENT: tuple[Dimension, ...] = ("Agent",)
_BY_OUTCOME: tuple[Dimension, ...] = ("Outcome",)
_BY_BOTH: tuple[Dimension, ...] = ("Outcome", "Agent")


RUNS_ACCEPTED = Metric("RunsAccepted", by=_BY_AGENT)
"""Runs that were recorded. From then on the service must bring each to an end."""
RUNS_STARTED = Metric("RunsStarted", by=_BY_AGENT)
"""Runs that a worker has started."""
TIME_TO_FIRST_EVENT = Metric("TimeToFirstEvent", "Milliseconds", by=_BY_AGENT)
"""From a run's record to its first event: how long it waited for a worker."""
RUNS_ENDED = Metric("RunsEnded", by=_BY_BOTH)
"""Terminal events; by outcome: completed, failed, canceled."""
RUNS_FAILED = Metric("RunsFailed", by=_BY_BOTH)
"""1 for a run that failed because of a model, an agent or the service, 0 for others.

Runs ended by a limit, an expired input request or a person's decision count as 0.
"""
RUN_DURATION = Metric("RunDuration", "Milliseconds", by=_BY_BOTH)
"""From a run's record to its end, including waits for people."""
RUNS_RECOVERED = Metric("RunsRecovered")
"""Recoveries of a run, by a worker or the sweep."""

STEP_DURATION = Metric("StepDuration", "Milliseconds", by=_BY_AGENT)
"""A model response and the tool calls in it."""
MODEL_DURATION = Metric("ModelDuration", "Milliseconds", by=_BY_AGENT)
TOOL_DURATION = Metric("ToolDuration", "Milliseconds", by=_BY_AGENT)
"""All tool calls of a response, which run concurrently."""
INPUT_TOKENS = Metric("InputTokens", by=_BY_AGENT)
OUTPUT_TOKENS = Metric("OutputTokens", by=_BY_AGENT)
CACHED_INPUT_TOKENS = Metric("CachedInputTokens", by=_BY_AGENT)
COST_USD = Metric("CostUsd", "None", by=_BY_AGENT)
"""Cost of responses in USD; no value for a model without a known price."""
DAILY_SPEND_SHARE = Metric("DailySpendShare", "Percent")
"""Spent and reserved share of a daily cap, at each response that counts against a cap."""
TOOL_CALLS = Metric("ToolCalls", by=_BY_OUTCOME)
"""By outcome: completed, failed."""

RUNS_PAUSED = Metric("RunsPaused")
ANSWERS = Metric("Answers", by=_BY_OUTCOME)
"""By outcome: received, expired."""
WAIT_DURATION = Metric("WaitDuration", "Seconds", by=_BY_OUTCOME)
"""From an input request to its answer."""
ANSWER_TO_RESUME = Metric("AnswerToResume", "Milliseconds")
"""From the last answer to the worker that continues."""

EVENTS_PUBLISHED = Metric("EventsPublished")
"""Events that the event bus accepted; an event that is published twice counts twice."""
APPEND_CONFLICTS = Metric("AppendConflicts")
"""Appends that lost to another writer of the same run."""
STREAMS_OPENED = Metric("StreamsOpened")
STREAMS_CLOSED = Metric("StreamsClosed", by=_BY_OUTCOME)
"""By outcome: ended, max_age, disconnected, failed."""
STREAMS_DISCONNECTED = Metric("StreamsDisconnected", by=_BY_OUTCOME)
"""Closed streams with the outcome disconnected or failed."""
KEYS_REJECTED = Metric("KeysRejected")
"""Requests with an access key that is unknown, expired or revoked."""

RUNS_SWEPT = Metric("RunsSwept")
"""Runs that the sweep checked."""
RUNS_ORPHANED = Metric("RunsOrphaned")
"""Checked runs that no execution works on. Every sweep records it, also 0."""

MEASURES: Mapping[str, Metric] = {
    measure.name: measure for measure in list(globals().values()) if isinstance(measure, Metric)
}


class LogFields(TypedDict, total=False):
    """Ids and codes of a fact, for searches in log lines. Never dimensions, never prompts."""

    run_id: str
    sequence: int
    step: int
    request_id: str
    project_id: str
    agent: str
    error_code: str
    """The code of a run's or a tool call's error."""
    provider: Mapping[str, object]
    """What the provider of the model said about the failure of a run, without keys."""
    reason: str
    failed_route: str
    route: str
    """The route that replaces `failed_route`."""
    tool: str
    key_id: str
    source: str
    """The address that a request came from."""
    cap_usd: float
    spent_usd: float


@dataclass(frozen=True)
class MetricRecord:
    """The metric values of a fact, its dimensions and its log fields."""

    fact: str
    values: Mapping[Metric, float]
    dimensions: Mapping[Dimension, str]
    keys: LogFields


def _discard(reading: MetricRecord) -> None:
    """Emit nothing."""


_emit: Callable[[MetricRecord], None] = _discard


def set_emitter(listener: Callable[[MetricRecord], None] | None) -> Callable[[MetricRecord], None]:
    """Set the emitter of all metric records of this process; return the previous emitter.

    A process has a single emitter, as it has a single root logger.
    """
    global _emit
    previous, _emit = _emit, listener or _discard
    return previous


def record(
    fact: str,
    values: Mapping[Metric, float],
    by: Mapping[Dimension, str] | None = None,
    **keys: Unpack[LogFields],
) -> None:
    """Emit the metric values of a fact: a constant text, its values, dimensions and ids."""
    context = cast("LogFields", log_context.current())
    _emit(MetricRecord(fact, values, by or {}, {**context, **keys}))
