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
    """One version of an agent, without its instructions. `kind` is `dialogue` or `code`."""

    name: str
    version: str
    versions: tuple[str, ...] = field(metadata=source(parse=tuple))
    is_default: bool
    description: str
    kind: str
    route: str
    provider: str
    model: str
    fallback: tuple[Mapping[str, str], ...] = field(metadata=source(parse=tuple))
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = field(metadata=source(parse=tuple))
    limits: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Key(Record):
    """An access key. Only the first response to a create has its text, `secret`."""

    id: str
    org_id: str
    project_id: str | None = None
    scopes: tuple[str, ...] = field(metadata=source(parse=tuple))
    agent: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    created_at: str
    valid_until: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class UsageRow(Record):
    """The ended runs of a day, or of an agent, a model or a user on a day.

    `cost_usd` is None while no cost is known. It lacks the cost of `runs_without_cost`.
    """

    day: str
    agent: str | None = None
    model: str | None = None
    user_id: str | None = None
    runs: int
    completed: int
    failed: int
    canceled: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: float | None = None
    runs_without_cost: int
