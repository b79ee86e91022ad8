"""Messages of the model as events: what is rebuilt equals what the provider sent."""

from typing import Any, cast

import pytest

from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.message_events import MAX_PROVIDER_BYTES, message_event, message_from
from runyard_service.agents.models.base import (
    AssistantMessage,
    Response,
    Text,
    Thinking,
    ToolCall,
)
from runyard_service.domain.errors import ModelRejectedError
from runyard_service.domain.event_payloads.messages import MessageCompleted

AGENT = AgentDefinition.model_validate(
    {"key": "a", "version": "1", "instructions": "x", "route": "r", "input_schema": {}}
)
CALL = ToolCall("c1", "pay", {"amount": 5})


def stored(message: AssistantMessage, **fields: Any) -> MessageCompleted:
    event = message_event(Response(message, **fields), 1, definition=AGENT, route="main")
    return cast(MessageCompleted, event.data)


@pytest.mark.parametrize(
    "parts",
    [
        (Thinking("a", "S1"), CALL, Thinking("b", "S2"), ToolCall("c2", "pay", {}, "toolu_2")),
        (Text("Hé"), CALL, Text("llo"), ToolCall("c2", "pay", {})),
        (Text("a"), Thinking("", "R1", "redacted_thinking"), Text("b")),
        (ToolCall("c1", "pay", {}, "call_1", {"extra_content": {"google": {"s": "SIG=="}}}),),
        (Thinking("a", provider_details={"format": "x"}), Text("b")),
    ],
)
def test_parts_are_rebuilt_in_order_with_the_providers_own_data(parts: Any) -> None:
    message = AssistantMessage(parts, fields={"reasoning_details": [{"data": "E"}]}, route="main")
    assert message_from(stored(message)) == message


@pytest.mark.parametrize("parts", [(), (Text("Hello"),), (CALL,), (Text("Hello"), CALL, CALL)])
def test_a_message_without_data_of_its_provider_is_stored_without_parts(parts: Any) -> None:
    data = stored(AssistantMessage(parts))
    assert not {"parts", "fields", "route"} & data.keys()
    assert message_from(data) == AssistantMessage(parts)


def test_the_text_and_the_arguments_are_stored_once() -> None:
    data = stored(AssistantMessage((Thinking("Hm.", "S1"), Text("A long text."), CALL)))
    assert str(data).count("A long text.") == str(data).count("amount") == 1


@pytest.mark.parametrize(
    "message",
    [
        AssistantMessage((Thinking("", "S" * MAX_PROVIDER_BYTES),)),
        AssistantMessage((CALL,), fields={"extra_content": "S" * MAX_PROVIDER_BYTES}),
        AssistantMessage((ToolCall("c1", "pay", {}, "S" * MAX_PROVIDER_BYTES),)),
    ],
)
def test_too_much_data_of_the_provider_fails_the_run(message: AssistantMessage) -> None:
    with pytest.raises(ModelRejectedError, match="the maximum is 1048576"):
        stored(message, finish_reason="pause_turn")


def test_long_reasoning_is_no_data_that_only_the_provider_can_read() -> None:
    long = Thinking("a" * MAX_PROVIDER_BYTES, "S1")
    assert stored(AssistantMessage((long, CALL)))["parts"]
