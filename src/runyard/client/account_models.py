"""What the service returns about the caller: its key, its agents and its usage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard.client.models import Author
from runyard.client.records import Record, source


@dataclass(frozen=True, kw_only=True)
class Me(Record):
    """The access key of the client, and what it may do."""

    key_id: str
    org_id: str
    projects: tuple[str, ...] = field(metadata=source(parse=tuple))
    scopes: tuple[str, ...] = field(metadata=source(parse=tuple))
    stream_url: str
    user: Author | None = field(default=None, metadata=source(parse=Author.parse))
    agent: str | None = None
    valid_until: str | None = None


@dataclass(frozen=True, kw_only=True)
class Agent(Record):
    """An agent that a run can use, without its instructions."""

    name: str
    version: str | None = None
    description: str | None = None
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = field(default=(), metadata=source(parse=tuple))
    limits: Mapping[str, Any] | None = None
    route: Any = None


@dataclass(frozen=True, kw_only=True)
class Key(Record):
    """An access key. Only a first create or rotation has its text, `secret`."""

    id: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class UsageRow(Record):
    """The usage of a day, an agent, a model or a user. `cost_usd` is None without a price."""

    day: str | None = None
    agent: str | None = None
    model: str | None = None
    user_id: str | None = None
    runs: int | None = None
    completed: int | None = None
    failed: int | None = None
    canceled: int | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
