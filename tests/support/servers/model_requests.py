"""Requests to models, each on a new event loop."""

import asyncio

from runyard_service.agents.models.base import (
    AssistantMessage,
    Model,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    Response,
    ResponseDelta,
    Text,
    Thinking,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)

LOOKUP = ToolSpec(
    "lookup",
    "Looks a word up.",
    {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)
FINAL_OUTPUT = ToolSpec(
    "final_output",
    "Return the final answer.",
    {"type": "object", "properties": {"answer": {"type": "object"}}},
)
REQUEST = ModelRequest("Be brief.", [UserMessage("Hello?")])
# A second step: the two calls of a response have results, one of them an error, and a user sent a
# message while they were in flight.
FOLLOW_UP = ModelRequest(
    "Be brief.",
    [
        UserMessage("What is a yard?"),
        AssistantMessage(
            (
                Thinking("Look it up.", "signed"),
                Text("Let me see."),
                ToolCall("id-1", "lookup", {"word": "yard"}, provider_id="own-1"),
                ToolCall("id-2", "lookup", {}, provider_id="own-2"),
            )
        ),
        UserMessage("Hurry."),
        ToolOutcome("id-1", "lookup", "three feet"),
        ToolOutcome("id-2", "lookup", "no word given", is_error=True),
    ],
    tools=(LOOKUP,),
)


def events_of(model: Model, request: ModelRequest = REQUEST) -> list[ModelEvent]:
    """Return all events that the model streams."""

    async def collect() -> list[ModelEvent]:
        return [event async for event in model.stream(request)]

    return asyncio.run(collect())


def parts_of(
    model: Model, request: ModelRequest = REQUEST
) -> tuple[list[ReasoningDelta | ResponseDelta], Response]:
    """Return the deltas and the response, which is the last event."""
    *before, last = events_of(model, request)
    assert isinstance(last, Response)
    deltas = [event for event in before if not isinstance(event, Response)]
    assert len(deltas) == len(before)
    return deltas, last


def response_of(model: Model, request: ModelRequest = REQUEST) -> Response:
    """Return the response."""
    return parts_of(model, request)[1]
