"""The scripted model: only the conversation decides which message it plays."""

import asyncio
from typing import Any

import pytest

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    ModelRequest,
    Response,
    ResponseDelta,
    ToolCall,
    ToolOutcome,
    UserMessage,
)
from runyard_service.agents.models.scripted import ScriptedModel
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError

ROUTE = Route(model="scripted:test")
SCRIPT = {
    "dialogues": [
        {
            "name": "pay",
            "when": {"input.topic": "pay"},
            "turns": [
                {
                    "say": "Let me pay.",
                    "call": [{"tool": "pay", "input": {"to": "{{ input.who }}"}}],
                },
                {"when": {"results.pay.failed": True}, "output": {"paid": False}},
                {"output": {"paid": True, "id": "{{ results.pay.content.id }}"}},
            ],
        },
        {
            "name": "busy",
            "when": {"input.topic": "busy"},
            "turns": [{"fail": {"kind": "unavailable", "attempts": 1}, "say": "ok"}],
        },
        {
            "name": "rejected",
            "when": {"input.topic": "no"},
            "turns": [{"fail": {"kind": "rejected"}}],
        },
    ]
}


def play(topic: str, *turns: ChatMessage, attempt: int = 1) -> list[Any]:
    request = ModelRequest(
        instructions="",
        messages=[UserMessage(""), *turns],
        input={"topic": topic, "who": "Ada"},
        attempt=attempt,
    )

    async def collect() -> list[Any]:
        return [event async for event in ScriptedModel(ROUTE, SCRIPT).stream(request)]

    return asyncio.run(collect())


def outcome(content: str, is_error: bool = False) -> tuple[ChatMessage, ...]:
    response = AssistantMessage((ToolCall("c1", "pay", {}),))
    return response, ToolOutcome("c1", "pay", content, is_error)


def test_a_message_is_streamed_word_by_word_and_ends_with_the_response() -> None:
    *deltas, response = play("pay")
    assert deltas == [ResponseDelta("Let "), ResponseDelta("me "), ResponseDelta("pay.")]
    assert isinstance(response, Response)
    assert response.message.content == "Let me pay."
    assert response.message.tool_calls[0].input == {"to": "Ada"}


def test_the_next_message_depends_on_the_result_of_the_tool() -> None:
    paid = play("pay", *outcome('{"id": 7}'))[-1]
    assert paid.message.tool_calls[0].input == {"paid": True, "id": 7}
    not_paid = play("pay", *outcome("no money", is_error=True))[-1]
    assert not_paid.message.tool_calls[0].input == {"paid": False}


def test_an_error_can_disappear_at_the_next_attempt() -> None:
    with pytest.raises(ModelUnavailableError):
        play("busy")
    assert play("busy", attempt=2)[-1].message.content == "ok"


@pytest.mark.parametrize("topic", ["no", "nothing in the script"])
def test_a_rejection_by_the_provider_is_final(topic: str) -> None:
    with pytest.raises(ModelRejectedError):
        play(topic)


def test_a_finished_dialogue_is_rejected() -> None:
    with pytest.raises(ModelRejectedError, match="no further turn"):
        play("pay", *outcome("{}"), *outcome("{}"))
