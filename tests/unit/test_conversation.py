"""Conversations rebuilt from the log: in a thread, and after a truncated response."""

from dataclasses import replace
from typing import Any

from runyard_service.agents.conversation import output_of, request_for
from runyard_service.agents.definitions.models import AgentDefinition, Limits
from runyard_service.agents.message_events import message_event
from runyard_service.agents.models.base import (
    AssistantMessage,
    Response,
    Text,
    Thinking,
    TokenUsage,
    ToolCall,
    UserMessage,
)
from runyard_service.domain.events import Event, assign_sequences
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Message, Role

TEXT = Response(AssistantMessage((Text("Half of an"),)), TokenUsage(100, 20))
TORN = Response(AssistantMessage((Thinking("Hm"), ToolCall("c1", "pay", {}))))


def agent(**fields: Any) -> AgentDefinition:
    always = {"key": "a", "version": "1", "instructions": "x", "route": "r"}
    return AgentDefinition.model_validate({**always, "input_schema": {"type": "object"}, **fields})


def after(*responses: Response, is_truncated: bool = True) -> History:
    new_events = [
        message_event(replace(response, is_truncated=is_truncated), n, definition=agent())
        for n, response in enumerate(responses, start=1)
    ]
    return History.of(assign_sequences(new_events, after=0))


def a_run(**fields: Any) -> Run:
    always = {"id": "r", "project_id": "p", "org_id": "o", "app_id": "a", "agent": "a@1"}
    return Run.model_validate(
        {**always, "definition_digest": "d", "started_at": "t", "input": {}, **fields}
    )


def message(role: Role, content: str, sequence: int) -> Message:
    return Message(
        id=str(sequence),
        thread_id="t",
        sequence=sequence,
        role=role,
        content=content,
        created_at="t",
    )


def test_a_truncated_text_is_not_an_output() -> None:
    assert output_of(agent(), after(TEXT, is_truncated=False)) == {"content": "Half of an"}
    assert output_of(agent(), after(TEXT)) is None


def test_calls_and_reasoning_of_a_truncated_response_are_removed() -> None:
    history = after(TORN)
    assert history.unfinished == []
    assert "parts" not in history.steps[0].message


def test_the_model_is_informed_that_its_response_was_truncated() -> None:
    turns = request_for(agent(), a_run(), after(TEXT)).messages
    assert turns[1:] == [
        AssistantMessage((Text("Half of an"),)),
        UserMessage(
            "Your response was cut off at 20 tokens. None of its tool calls was made. "
            "Continue with a shorter, complete response."
        ),
    ]


def test_a_truncated_response_does_not_count_as_an_invalid_output() -> None:
    strict = agent(output_schema={"type": "object"}, limits=Limits(output_attempts=1))
    assert output_of(strict, after(TEXT, TEXT)) is None


def test_a_run_in_a_thread_gets_the_earlier_messages_and_not_its_input() -> None:
    messages = [
        message("user", "Hi", 1),
        message("assistant", "Hello", 2),
        message("user", "And?", 3),
    ]
    request = request_for(agent(), a_run(thread_id="t"), History(), messages=messages)
    assert request.thread_messages == [
        UserMessage("Hi"),
        AssistantMessage((Text("Hello"),)),
        UserMessage("And?"),
    ]
    assert request.messages == []
    assert request.input["content"] == "And?"
    assert request.input["count"] == 3
    assert request.input["messages"][1] == {"role": "assistant", "content": "Hello"}


def test_a_run_without_messages_gets_a_notification_text() -> None:
    for messages in ([], [message("user", "Hi", 1), message("assistant", "Hello", 2)]):
        request = request_for(agent(), a_run(thread_id="t"), History(), messages=messages)
        assert request.messages == [UserMessage("(There is no new message.)")]


NOW = "2026-11-28T12:00:00.000Z"


def test_now_is_the_creation_of_the_run_in_each_request() -> None:
    definition = agent(
        instructions="Now: {{ now }}, {{now}}. Write {{ name }}.",
        prompt="{{ now }}: {{ input.case }}",
        input_schema={"type": "object", "properties": {"case": {}}},
    )
    run = a_run(started_at=NOW, input={"case": "{{ now }}"})
    for history in (after(), after(TEXT)):
        request = request_for(definition, run, history)
        assert request.instructions == f"Now: {NOW}, {NOW}. Write {{{{ name }}}}."
        assert request.messages[0] == UserMessage(f"{NOW}: {{{{ now }}}}")


PAY = {"kind": "http", "name": "pay", "description": "Pays.", "url": "http://localhost"}


def test_a_required_call_is_required_until_the_run_has_made_a_call() -> None:
    call = Response(AssistantMessage((ToolCall("c1", "pay", {}),)), TokenUsage(100, 20))
    called = after(call, is_truncated=False)
    called.steps[0].calls[0].outcome = Event(
        id="e", sequence=2, type="agent.tool_call.completed", timestamp=NOW, data={"result": "ok"}
    )
    for choice, later in (("required", None), (["pay"], None), ("none", "none"), ("auto", "auto")):
        definition = agent(tools=[PAY], tool_choice=choice)
        first = request_for(definition, a_run(), after(TEXT, is_truncated=False))
        assert first.settings.tool_choice == definition.tool_choice
        assert request_for(definition, a_run(), called).settings.tool_choice == later


def test_a_native_output_is_the_text_of_a_response() -> None:
    definition = agent(
        output_mode="native", output_schema={"type": "object", "required": ["answer"]}
    )
    answer = Response(AssistantMessage((Text('{"answer": 42}'),)), TokenUsage(100, 20))
    assert output_of(definition, after(answer, is_truncated=False)) == {"answer": 42}
    wrong = after(TEXT, is_truncated=False)
    assert output_of(definition, wrong) is None
    last = request_for(definition, a_run(), wrong).messages[-1]
    assert last == UserMessage("Return your answer as one JSON object that matches the schema.")
