"""A run as the API returns it: a record that changes only together with the log."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from runyard_service.domain.clock import parse
from runyard_service.domain.costs import from_number, to_number
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.event_payloads.runs import RunUsage

RunStatus = Literal["created", "started", "paused", "completed", "failed", "canceled"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "canceled"})


def agent_name(agent: str) -> str:
    """Return the name of an agent `name@version` without its version."""
    return agent.partition("@")[0]


class Usage(BaseModel):
    """The usage of a run. `cost_usd` is exact; None while no price is known.

    `input_tokens` includes the tokens that were read from a cache or written to it.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal | None = None
    steps: int = 0

    @classmethod
    def reported(cls, usage: Mapping[str, Any], steps: int) -> "Usage":
        """Return the tokens and USD that the `usage` of an event reports, and these steps."""
        cost = usage.get("cost_usd")
        return cls(
            input_tokens=usage.get("input_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
            cached_input_tokens=usage.get("cached_input_tokens", 0),
            cache_write_tokens=usage.get("cache_write_tokens", 0),
            cost_usd=None if cost is None else from_number(cost),
            steps=steps,
        )

    @classmethod
    def of_message(cls, data: MessageCompleted) -> "Usage":
        """Return the usage of a message: one step, and the tokens and USD that it reports."""
        return cls.reported(data.get("usage", {}), steps=1)

    def plus(self, step: "Usage") -> "Usage":
        """Return the sum. An unknown cost does not remove a known cost."""
        costs = [cost for cost in (self.cost_usd, step.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + step.input_tokens,
            output_tokens=self.output_tokens + step.output_tokens,
            cached_input_tokens=self.cached_input_tokens + step.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + step.cache_write_tokens,
            cost_usd=sum(costs, Decimal(0)) if costs else None,
            steps=self.steps + step.steps,
        )

    @property
    def cache_hit_rate(self) -> float | None:
        """Return cached input / all input; None if no input came from a cache."""
        if not self.cached_input_tokens or not self.input_tokens:
            return None
        return self.cached_input_tokens / self.input_tokens

    def credits(self, per_usd: Decimal) -> int | None:
        """Return the cost in whole credits, rounded up; None while no price is known."""
        if self.cost_usd is None:
            return None
        return int((self.cost_usd * per_usd).to_integral_value(ROUND_CEILING))


class Author(BaseModel):
    """The creator of a run: an access key, or the person that the key represents."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    name: str | None = None
    email: str | None = None


class Execution(NamedTuple):
    """One of the consecutive executions of a run; the first has the number 0."""

    run_id: str
    number: int = 0

    @property
    def name(self) -> str:
        """Return the name in Step Functions: the id of the run, later `{id}-{number}`."""
        return f"{self.run_id}-{self.number}" if self.number else self.run_id

    @property
    def next(self) -> "Execution":
        """Return the execution after this execution."""
        return Execution(self.run_id, self.number + 1)

    @classmethod
    def parse(cls, name: str, run_id: str) -> "Execution":
        """Return the execution of the run with this name."""
        return cls(run_id, int(name.removeprefix(run_id).removeprefix("-") or 0))


class Run(BaseModel):
    """One run. `execution` is the number of its current execution.

    `checkpoint` is the sequence of the last event in the newest checkpoint; 0 without a checkpoint.

    `definition_digest` identifies the agent snapshot that the run uses from start to end. A run
    in a thread has the first `thread_messages` messages of the thread instead of an `input`.
    `route_id` and `model` are those at its start; `fallback_model` is the model of the fallback
    route that it uses, empty before the first switch.
    `trace_id` is the id of the request that created it, 32 hexadecimal digits.
    `idempotency_digest` identifies its idempotency record.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    project_id: str
    org_id: str
    app_id: str
    agent: str
    definition_digest: str
    status: RunStatus = "created"
    input: Mapping[str, Any]
    output: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    user_id: str | None = None
    session_id: str | None = None
    file_ids: tuple[str, ...] = ()
    thread_id: str | None = None
    thread_messages: int = 0
    route_id: str = ""
    model: str = ""
    fallback_model: str = ""
    trace_id: str = ""
    idempotency_digest: str = ""
    created_by: Author | None = None
    started_at: str
    ended_at: str | None = None
    usage: Usage = Field(default_factory=Usage)
    open_requests: int = 0
    execution: int = 0
    checkpoint: int = 0

    @property
    def has_ended(self) -> bool:
        """Return whether the run has ended."""
        return self.status in ENDED

    @property
    def model_in_use(self) -> str:
        """Return the name of the model that the run uses now, or used last."""
        return self.fallback_model or self.model

    @property
    def awaits_input(self) -> bool:
        """Return whether the run has an open input request."""
        return self.open_requests > 0 and not self.has_ended

    @property
    def current_execution(self) -> Execution:
        """Return the execution that owns the run."""
        return Execution(self.id, self.execution)


def usage_payload(usage: Usage, started_at: str, ended_at: str | None) -> RunUsage:
    """Return the usage of a run as its terminal event and the API responses show it.

    Tokens, tokens read from and written to a cache (if any), USD (if a price is known), steps, and
    milliseconds from start to end (if the run has ended).
    """
    payload: RunUsage = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "steps": usage.steps,
    }
    if usage.cached_input_tokens:
        payload["cached_input_tokens"] = usage.cached_input_tokens
    if usage.cache_write_tokens:
        payload["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cost_usd is not None:
        payload["cost_usd"] = to_number(usage.cost_usd)
    if ended_at is not None:
        duration = parse(ended_at) - parse(started_at)
        payload["duration_ms"] = round(duration.total_seconds() * 1000)
    return payload
