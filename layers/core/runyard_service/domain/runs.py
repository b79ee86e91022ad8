"""A run as it is reported: a record beside the log that changes only together with it."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from runyard_service.domain.clock import parse
from runyard_service.domain.costs import to_number

RunStatus = Literal["created", "started", "paused", "completed", "failed", "canceled"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "canceled"})


class Usage(BaseModel):
    """What a run has used. `cost_usd` is exact; None as long as no price was known.

    `input_tokens` includes the cached ones.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: Decimal | None = None
    steps: int = 0

    def plus(self, step: "Usage") -> "Usage":
        """The sum; a known price is kept beside an unknown one."""
        costs = [cost for cost in (self.cost_usd, step.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + step.input_tokens,
            output_tokens=self.output_tokens + step.output_tokens,
            cached_input_tokens=self.cached_input_tokens + step.cached_input_tokens,
            cost_usd=sum(costs, Decimal(0)) if costs else None,
            steps=self.steps + step.steps,
        )

    @property
    def cache_hit_rate(self) -> float | None:
        """Cached input / all input; None where nothing came from a cache."""
        if not self.cached_input_tokens or not self.input_tokens:
            return None
        return self.cached_input_tokens / self.input_tokens

    def credits(self, per_usd: Decimal) -> int | None:
        """The cost in whole credits, each one begun counted; None while no price is known."""
        if self.cost_usd is None:
            return None
        return int((self.cost_usd * per_usd).to_integral_value(ROUND_CEILING))


class Author(BaseModel):
    """Who a run was created by: an access key, or the person that it stands for."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    name: str | None = None
    email: str | None = None


class Execution(NamedTuple):
    """One of the executions that carry a run, one after the other; the first has the number 0."""

    run_id: str
    number: int = 0

    @property
    def name(self) -> str:
        """What Step Functions knows it by: the run's id, later `{id}-{number}`."""
        return f"{self.run_id}-{self.number}" if self.number else self.run_id

    @property
    def next(self) -> "Execution":
        """The one that carries the run after this one."""
        return Execution(self.run_id, self.number + 1)

    @classmethod
    def parse(cls, name: str, run_id: str) -> "Execution":
        """The execution of the run that has this name."""
        return cls(run_id, int(name.removeprefix(run_id).removeprefix("-") or 0))


class Run(BaseModel):
    """One run. `execution` is the number of the state machine's execution that carries it.

    `checkpoint` is the event that its newest checkpoint ends with, if it ever had one.

    `definition_digest` names the snapshot of the agent that the run started with, and keeps. A run
    in a thread has its first `thread_messages` messages in place of an `input`. `trace_id` is the
    id of the request that created it, 32 hexadecimal digits. `idempotency_digest` names its
    idempotency record.
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
    error: Mapping[str, str] | None = None
    user_id: str | None = None
    session_id: str | None = None
    file_ids: tuple[str, ...] = ()
    thread_id: str | None = None
    thread_messages: int = 0
    route_id: str = ""
    model: str = ""
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
        """Whether the terminal event is in the log."""
        return self.status in ENDED

    @property
    def awaits_input(self) -> bool:
        """Whether a person is asked and has not answered."""
        return self.open_requests > 0 and not self.has_ended

    @property
    def current_execution(self) -> Execution:
        """The execution that carries the run now."""
        return Execution(self.id, self.execution)


def usage_payload(usage: Usage, started_at: str, ended_at: str | None) -> dict[str, Any]:
    """A run's usage as its terminal event and its responses show it.

    Tokens (cached ones where there are any), USD (left out while no price is known), steps, and
    milliseconds from start to end (left out while there is no end).
    """
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.cached_input_tokens:
        shown["cached_input_tokens"] = usage.cached_input_tokens
    if usage.cost_usd is not None:
        shown["cost_usd"] = to_number(usage.cost_usd)
    shown["steps"] = usage.steps
    if ended_at is not None:
        duration = parse(ended_at) - parse(started_at)
        shown["duration_ms"] = round(duration.total_seconds() * 1000)
    return shown
