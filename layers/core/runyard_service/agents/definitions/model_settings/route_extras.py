"""What `extra_headers` and `extra_body` of a route may contain.

They must not replace what Runyard sends: the credentials, the conversation, and the fields of
agents.
"""

import re
from collections.abc import Mapping

_CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)
_CONNECTION = frozenset(
    {"host", "connection", "content-type", "content-length", "content-encoding", "accept"}
    | {"accept-encoding", "transfer-encoding", "te", "upgrade", "expect", "keep-alive"}
)
# AWS signs these.
_SIGNATURE = "x-amz-"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Fields of request bodies, with the field of an agent or route that sets them; empty if none does.
_BODY_FIELDS: Mapping[str, str] = {
    "model": "model of the route",
    "messages": "",
    "tools": "",
    "stream": "",
    "tool_choice": "tool_choice of the agent",
    "temperature": "temperature of the agent",
    "top_p": "top_p of the agent",
    "service_tier": "service_tier of the agent",
    "max_tokens": "max_output_tokens of the agent",
}
# Other servers use some of these names for other things: many take `thinking`, for example.
_PROVIDER_BODY_FIELDS: Mapping[str, Mapping[str, str]] = {
    "openai-chat": {
        "max_completion_tokens": "max_output_tokens of the agent",
        "n": "",
        "functions": "",
        "function_call": "",
        "stop": "stop of the agent",
        "seed": "seed of the agent",
        "parallel_tool_calls": "parallel_tool_calls of the agent",
        "response_format": "output_mode of the agent",
        "stream_options": "stream_options of the route",
        "reasoning_effort": "reasoning of the route",
    },
    "openai-responses": {
        "input": "",
        "instructions": "",
        "max_output_tokens": "max_output_tokens of the agent",
        "parallel_tool_calls": "parallel_tool_calls of the agent",
        "text": "output_mode of the agent",
        "reasoning": "reasoning of the route",
    },
    "anthropic": {
        "system": "",
        "stop_sequences": "stop of the agent",
        "cache_control": "cache of the agent",
        "output_config": "output_mode of the agent",
        "thinking": "reasoning or thinking_budget of the route",
    },
    "bedrock": {"thinking": "reasoning or thinking_budget of the route"},
    "google": {
        "contents": "",
        "systemInstruction": "",
        "toolConfig": "tool_choice of the agent",
        "generationConfig": "the settings of the agent and of the route",
        "serviceTier": "service_tier of the agent",
    },
    "mistral": {
        "n": "",
        "stop": "stop of the agent",
        "random_seed": "seed of the agent",
        "parallel_tool_calls": "parallel_tool_calls of the agent",
        "response_format": "output_mode of the agent",
        "reasoning_effort": "reasoning of the route",
    },
}


def header_issue(name: str, value: str) -> str | None:
    """Return what is wrong with a header of a route; None if nothing is."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "is not the name of an HTTP header"
    if lower in _CREDENTIALS or lower.startswith(_SIGNATURE):
        return "would replace the credentials; use api_key_secret or api_key_variable"
    if lower in _CONNECTION:
        return "is set by Runyard's HTTP client; remove it"
    if CONTROL_CHARACTERS.search(value):
        return "must not contain control characters"
    return None


def body_issue(name: str, provider: str) -> str | None:
    """Return what is wrong with a field of a route's `extra_body`; None if nothing is."""
    setting = {**_BODY_FIELDS, **_PROVIDER_BODY_FIELDS.get(provider, {})}.get(name)
    if setting is None:
        return None
    return f"is set by Runyard; use {setting}" if setting else "is set by Runyard; remove it"
