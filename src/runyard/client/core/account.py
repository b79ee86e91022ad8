"""The operations on agents, on access keys, on usage, and on the caller itself."""

from collections.abc import Mapping
from typing import Any

from runyard.client.account_models import Agent, Key, Me, UsageRow
from runyard.client.core.effects import Call, Stream
from runyard.client.core.lists import pages
from runyard.client.core.requests import QueryValue, call_json, segment


def me() -> Call[Me]:
    """Return what the access key is and may do."""
    answer = yield from call_json("GET", "/v1/me")
    return Me.parse(answer["data"])


def list_agents() -> Stream[Agent]:
    """Yield the agents that the key may use."""
    return pages("/v1/agents", {}, Agent.parse)


def get_agent(name: str) -> Call[Agent]:
    """Return an agent: its newest version, or `name@version`."""
    answer = yield from call_json("GET", f"/v1/agents/{segment(name)}")
    return Agent.parse(answer["data"])


def usage(query: Mapping[str, QueryValue]) -> Call[list[UsageRow]]:
    """Return the usage of the days, in rows by `by`."""
    answer = yield from call_json("GET", "/v1/usage", query=query)
    return [UsageRow.parse(row) for row in answer["data"]]


def list_keys() -> Stream[Key]:
    """Yield the access keys of the organization."""
    return pages("/v1/keys", {}, Key.parse)


def create_key(body: Mapping[str, Any]) -> Call[Key]:
    """Create a key. Only the first response contains its text."""
    answer = yield from call_json("POST", "/v1/keys", body=body)
    return Key.parse(answer["data"])


def revoke_key(key_id: str) -> Call[Key]:
    """End the key; return it."""
    answer = yield from call_json("DELETE", f"/v1/keys/{segment(key_id)}")
    return Key.parse(answer["data"])
