"""What the service returns: runs, input requests, threads, files, agents, webhooks, keys, usage.

`openapi.json` describes the fields. A field that the service leaves out is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard.client.records import Record, list_of, source

ENDED = frozenset({"completed", "failed", "canceled"})


@dataclass(frozen=True, kw_only=True)
class ErrorInfo(Record):
    """The error of a run or of a tool call. `provider` is what the model's provider said."""

    code: str
    message: str
    error_id: str | None = None
    provider: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Usage(Record):
    """The tokens and the cost in USD of a run or of a response; None if it is not known."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: float | None = None
    steps: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Author(Record):
    """The person whose access key was used, or the key if it belongs to no person."""

    id: str
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, kw_only=True)
class InputRequest(Record):
    """What a run asks a person: `human_feedback` or `approval_request`."""

    id: str
    type: str
    prompt: str
    params: Mapping[str, Any]
    editable_params: tuple[str, ...] = field(default=(), metadata=source(parse=tuple))
    params_schema: Mapping[str, Any] | None = None
    tool: Mapping[str, Any]
    agent: str
    user_id: str | None = None
    created_at: str
    expires_at: str | None = None
    on_expiry: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """A run. `status` is `awaiting_input` while it waits for a person."""

    id: str
    app_id: str
    agent: str
    status: str
    started_at: str
    input: Mapping[str, Any]
    ended_at: str | None = None
    output: Mapping[str, Any] | None = None
    user_id: str | None = None
    session_id: str | None = None
    input_requests: tuple[InputRequest, ...] = field(
        default=(), metadata=source(parse=list_of(InputRequest))
    )
    error: ErrorInfo | None = field(default=None, metadata=source(parse=ErrorInfo.parse))
    usage: Usage | None = field(default=None, metadata=source(parse=Usage.parse))
    model: str | None = None
    thread_id: str | None = None
    created_by: Author | None = field(default=None, metadata=source(parse=Author.parse))

    @property
    def has_ended(self) -> bool:
        """Return whether the run is completed, failed or canceled."""
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True)
class StoredFile(Record):
    """An uploaded file."""

    id: str
    name: str
    size: int
    mime_type: str


@dataclass(frozen=True, kw_only=True)
class Thread(Record):
    """A conversation."""

    id: str
    org_id: str
    created_at: str
    updated_at: str
    title: str | None = None
    active_run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message(Record):
    """A message of a thread. `role` is `user` or `assistant`."""

    id: str
    thread_id: str
    role: str
    content: str
    created_at: str
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook(Record):
    """An endpoint that receives notifications. Only a first create or rotation has `secret`."""

    id: str
    url: str
    events: tuple[str, ...] = field(metadata=source(parse=tuple))
    description: str
    enabled: bool
    created_at: str
    updated_at: str
    disabled_reason: str | None = None
    failing_since: str | None = None
    paused_until: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Delivery(Record):
    """One notification for one webhook."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    state: str
    created_at: str
    attempts: tuple[Mapping[str, Any], ...] = field(metadata=source(parse=tuple))
    run_id: str | None = None
    failure: str | None = None
    next_attempt_at: str | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Notification(Record):
    """The verified body of a webhook. `id` is the same for every attempt of a delivery."""

    id: str
    type: str
    timestamp: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ThreadRun(Record):
    """A run in the list of a thread. `status` is one of the Threads API."""

    run_id: str
    status: str
    created_at: str


@dataclass(frozen=True, kw_only=True)
class Persona(Record):
    """An agent that can answer in a thread; `persona_id` names it."""

    persona_id: str
    persona_key: str
    version: str
    description: str
    route_id: str
    model: str
    is_default: bool


@dataclass(frozen=True, kw_only=True)
class Route(Record):
    """A route, which sets the provider and the model."""

    route_id: str
    provider: str
    model: str
