"""How the tests put a question to a model: one event loop per question, all events in a list."""

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
QUESTION = ModelRequest("Be brief.", [UserMessage("Hello?")])
# A second step: two calls of one reply are answered, one of them by a failure, and a person spoke
# while they were at work.
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


def events_of(model: Model, request: ModelRequest = QUESTION) -> list[ModelEvent]:
    """Everything that the model streams."""

    async def ask() -> list[ModelEvent]:
        return [event async for event in model.stream(request)]

    return asyncio.run(ask())


def parts_of(
    model: Model, request: ModelRequest = QUESTION
) -> tuple[list[ReasoningDelta | ResponseDelta], Response]:
    """The deltas, and the one reply behind the last of them."""
    *before, last = events_of(model, request)
    assert isinstance(last, Response)
    deltas = [event for event in before if not isinstance(event, Response)]
    assert len(deltas) == len(before)
    return deltas, last


def reply_of(model: Model, request: ModelRequest = QUESTION) -> Response:
    """The whole reply only."""
    return parts_of(model, request)[1]
