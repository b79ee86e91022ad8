"""A response of the model as the event of the log, and the message rebuilt from that event.

The event's `parts` hold the order of the response, and what the provider wants back. They do not
repeat the text and the calls: a text is the next `length` characters of `content`, and a call is
the next of `tool_calls`. Without `parts`, the message is its text and then its calls.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.models.base import (
    AssistantMessage,
    MessagePart,
    Response,
    Text,
    Thinking,
    ToolCall,
)
from runyard_service.agents.no_answer import is_paused, missing_answer
from runyard_service.agents.tool_arguments import encodable
from runyard_service.domain.costs import to_number
from runyard_service.domain.errors import ModelRejectedError
from runyard_service.domain.event_payloads.messages import MessageCompleted, MessageUsage
from runyard_service.domain.events import NewEvent

# The most that a response may have of parts and fields that only its provider can read, as JSON.
# Signatures and encrypted reasoning have some kilobytes. A request sends all of them again.
MAX_PROVIDER_BYTES = 1024 * 1024
_MAX_REASON_CHARACTERS = 100


def message_event(
    response: Response,
    iteration: int,
    truncated_by: str = "",
    *,
    definition: AgentDefinition,
    route: str = "",
    names_route: bool = False,
) -> NewEvent:
    """Return the model's message as the event that later requests are rebuilt from.

    Of a response that is truncated or no answer, only the text is stored: its calls may be
    incomplete, and its reasoning can lack the provider's signature. `truncated_by` names the limit
    that shortened it. The event names its `route` with `names_route`, or if the message has
    data that only this route gets back.

    Raise ModelRejectedError if the provider's own parts are too large.
    """
    message = response.message
    data: MessageCompleted = {
        "object": "agent.message",
        "content": message.content,
        "iteration": iteration,
        "usage": usage_of_response(response),
        "model": response.model,
    }
    if names_route:
        data["route"] = route
    if response.is_truncated:
        data["truncated"] = True
        if truncated_by:
            data["truncated_by"] = truncated_by
    elif missing := missing_answer(definition, response):
        data["no_answer"] = missing
        data["finish_reason"] = encodable(response.finish_reason)[:_MAX_REASON_CHARACTERS]
    else:
        if is_paused(response):
            data["paused"] = True
        _add_parts(data, message, route)
    return NewEvent(type="agent.message.completed", data=data)


def usage_of_response(response: Response) -> MessageUsage:
    """Return what an event reports of the tokens and the cost of a response."""
    usage: MessageUsage = {}
    if response.usage is not None:
        usage = {
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
            "cached_input_tokens": response.usage.cached_input_tokens,
        }
        if response.usage.cache_write_tokens:
            usage["cache_write_tokens"] = response.usage.cache_write_tokens
    if response.cost_usd is not None:
        usage["cost_usd"] = to_number(response.cost_usd)
    return usage


def _add_parts(data: MessageCompleted, message: AssistantMessage, route: str) -> None:
    if message.tool_calls:
        data["tool_calls"] = [
            {"id": call.id, "name": call.name, "input": call.input} for call in message.tool_calls
        ]
    parts = [_stored(part) for part in message.parts]
    if not _is_default(parts):
        data["parts"] = parts
        data["route"] = route
    if message.fields:
        data["fields"] = message.fields
        data["route"] = route
    _check_size(parts, message.fields)


def _check_size(parts: Iterable[Mapping[str, Any]], fields: Mapping[str, Any]) -> None:
    opaque = [{**part, "content": ""} for part in parts if part.keys() - {"type", "length"}]
    size = len(json.dumps([opaque, fields]).encode())
    if size > MAX_PROVIDER_BYTES:
        raise ModelRejectedError(
            f"The response has {size} bytes of data that only its provider can read; "
            f"the maximum is {MAX_PROVIDER_BYTES}.",
            kind="invalid",
        )


def _stored(part: MessagePart) -> dict[str, Any]:
    match part:
        case Text():
            text: dict[str, Any] = {"type": "text", "length": len(part.content)}
            if part.provider_details:
                text["provider_details"] = part.provider_details
            return text
        case ToolCall():
            own = {"provider_id": part.provider_id, "provider_details": part.provider_details}
            return {"type": "tool_call"} | {name: value for name, value in own.items() if value}
        case Thinking():
            own = {name: value for name, value in vars(part).items() if value is not None}
            return {"type": "thinking", **own}


def _is_default(parts: list[dict[str, Any]]) -> bool:
    """Return whether the parts are at most one text, then calls, without data of the provider."""
    first = 1 if parts and parts[0].keys() == {"type", "length"} else 0
    return all(part == {"type": "tool_call"} for part in parts[first:])


def message_from(data: MessageCompleted) -> AssistantMessage:
    """Return the message that the event stores."""
    return AssistantMessage(
        tuple(_rebuilt(data)), fields=data.get("fields", {}), route=data.get("route", "")
    )


def _rebuilt(data: MessageCompleted) -> Iterator[MessagePart]:
    content, calls = data["content"], iter(data.get("tool_calls", ()))
    parts = data.get("parts")
    if parts is None:
        if content:
            yield Text(content)
        yield from (ToolCall(call["id"], call["name"], call["input"]) for call in calls)
        return
    start = 0
    for part in parts:
        own = {name: value for name, value in part.items() if name not in ("type", "length")}
        match part["type"]:
            case "text":
                end = start + part["length"]
                yield Text(content[start:end], **own)
                start = end
            case "tool_call":
                call = next(calls)
                yield ToolCall(call["id"], call["name"], call["input"], **own)
            case _:
                yield Thinking(**own)
