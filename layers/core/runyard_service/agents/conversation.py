"""Build the model's conversation from the log, and return the output that ends it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.conditions import fill_text
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.definitions.schemas import validate
from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ChatMessage,
    ModelRequest,
    Response,
    Thinking,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.truncation import check_truncation, truncation_message
from runyard_service.domain.costs import to_number
from runyard_service.domain.errors import OutputInvalidError
from runyard_service.domain.event_payloads import MessageCompleted
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import StepRecord, ToolCallState
from runyard_service.domain.threads import Message

_ANSWER_BY_TOOL = UserMessage(f"Return your answer by calling the tool {OUTPUT_TOOL}.")
# Providers require a user message before a response.
_NOTHING_NEW = UserMessage("(There is no new message.)")


class MessageHistory:
    """A cache of a run's messages: each step of a long run only builds the new ones."""

    def __init__(self) -> None:
        self._messages: list[ChatMessage] = []
        self._step_count = 0

    def messages_for(self, history: History) -> Sequence[ChatMessage]:
        """Return the messages of a history that only grows and has no unfinished call."""
        for step in history.steps[self._step_count :]:
            self._messages.append(_model_turn(step))
            self._messages.extend(map(_outcome, step.calls))
            if not step.calls:
                # A plain text although a structured output was due, or a truncated response: any
                # other plain text ends the run.
                is_truncated = step.message.get("truncated")
                follow_up = truncation_message(step.message) if is_truncated else _ANSWER_BY_TOOL
                self._messages.append(follow_up)
        self._step_count = len(history.steps)
        return self._messages


def request_for(
    definition: AgentDefinition,
    run: Run,
    history: History,
    *,
    message_history: MessageHistory | None = None,
    messages: Sequence[Message] = (),
    attachments: Sequence[Attachment] = (),
) -> ModelRequest:
    """Return the request for the run's next response.

    The run's input and files are the first message; in a thread, `messages` come before its own
    messages instead. `message_history` caches the messages of earlier steps.
    """
    own_messages: list[ChatMessage] = []
    earlier = [_thread_message(message) for message in messages]
    if run.thread_id is None:
        own_messages.append(UserMessage(_first_message(definition, run.input), attachments))
    elif not messages or messages[-1].role != "user":
        own_messages.append(_NOTHING_NEW)
    own_messages.extend((message_history or MessageHistory()).messages_for(history))
    return ModelRequest(
        instructions=definition.instructions,
        messages=own_messages,
        thread_messages=earlier,
        tools=[ToolSpec(tool.name, tool.description, tool.parameters) for tool in definition.tools],
        output_tool=_output_tool(definition),
        max_output_tokens=definition.max_output_tokens,
        input=run.input if run.thread_id is None else _as_input(messages),
    )


def _thread_message(message: Message) -> ChatMessage:
    if message.role == "user":
        return UserMessage(message.content)
    return AssistantMessage(message.content)


def _as_input(messages: Sequence[Message]) -> Mapping[str, Any]:
    """Return a thread as data for the conditions and texts of scripts."""
    user_texts = [message.content for message in messages if message.role == "user"]
    return {
        "content": user_texts[-1] if user_texts else "",
        "count": len(messages),
        "messages": [{"role": message.role, "content": message.content} for message in messages],
    }


def _first_message(definition: AgentDefinition, run_input: Mapping[str, Any]) -> str:
    if definition.prompt is not None:
        return fill_text(definition.prompt, {"input": run_input})
    return json.dumps(run_input, ensure_ascii=False, indent=2)


def _output_tool(definition: AgentDefinition) -> ToolSpec | None:
    if definition.output_schema is None:
        return None
    return ToolSpec(OUTPUT_TOOL, "Return the final answer.", definition.output_schema)


def _model_turn(step: StepRecord) -> AssistantMessage:
    response = step.message
    return AssistantMessage(
        content=response["content"],
        tool_calls=tuple(ToolCall(call.id, call.name, call.input) for call in step.calls),
        thinking=tuple(Thinking(**part) for part in response.get("thinking", ())),
    )


def _outcome(call: ToolCallState) -> ToolOutcome:
    if call.outcome is None:
        raise ValueError(f"tool call {call.id} has no outcome yet")
    data = call.outcome.data
    error = data.get("error")
    return ToolOutcome(
        tool_call_id=call.id,
        tool_name=call.name,
        content=error["message"] if error else data["result"],
        is_error=error is not None,
    )


def message_event(response: Response, iteration: int, truncated_by: str = "") -> NewEvent:
    """Return the model's message as the event that later requests are rebuilt from.

    Of a truncated response only the text is stored: its calls may be incomplete, and its reasoning
    lacks the provider's signature. `truncated_by` names the limit that shortened it.
    """
    data: MessageCompleted = {
        "object": "agent.message",
        "content": response.message.content,
        "iteration": iteration,
        "usage": {},
        "model": response.model,
    }
    if response.usage is not None:
        data["usage"] = {
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
            "cached_input_tokens": response.usage.cached_input_tokens,
        }
    if response.cost_usd is not None:
        data["usage"]["cost_usd"] = to_number(response.cost_usd)
    if response.is_truncated:
        data["truncated"] = True
        if truncated_by:
            data["truncated_by"] = truncated_by
        return NewEvent(type="agent.message.completed", data=data)
    if response.message.tool_calls:
        data["tool_calls"] = [
            {"id": call.id, "name": call.name, "input": call.input}
            for call in response.message.tool_calls
        ]
    if response.message.thinking:
        data["thinking"] = [
            {name: value for name, value in vars(part).items() if value is not None}
            for part in response.message.thinking
        ]
    return NewEvent(type="agent.message.completed", data=data)


def text_output(response: MessageCompleted) -> Mapping[str, Any] | None:
    """Return a response as the output of a run without a schema; None if it is not final."""
    if response.get("tool_calls") or response.get("truncated"):
        return None
    return {"content": response["content"]}


def output_of(definition: AgentDefinition, history: History) -> Mapping[str, Any] | None:
    """Return the run's output from the newest response; None if the run must continue.

    Raise OutputInvalidError after too many outputs that do not match `output_schema`, and
    ResponseTruncatedError after too many truncated responses.
    """
    step = history.current
    if step is None:
        return None
    if step.message.get("truncated"):
        check_truncation(definition, history)
        return None
    schema = definition.output_schema
    if schema is None:
        return text_output(step.message)
    for candidate in _candidates(step):
        if isinstance(candidate, Mapping) and not validate(schema, candidate):
            return candidate
    if _invalid_outputs(history) >= definition.limits.output_attempts:
        raise OutputInvalidError("the model's response does not match output_schema")
    return None


def _candidates(step: StepRecord) -> list[Any]:
    if not step.calls:
        return [_parse_json(step.message["content"])]
    # An output with other calls does not count: their results were not yet known.
    if len(step.calls) == 1 and step.calls[0].name == OUTPUT_TOOL:
        return [step.calls[0].input]
    return []


def _invalid_outputs(history: History) -> int:
    return sum(
        not step.calls or any(call.name == OUTPUT_TOOL for call in step.calls)
        for step in history.steps
        if not step.message.get("truncated")
    )


def _parse_json(text: str) -> Any:
    """Return the JSON value of a text, with or without a code fence; None if it is invalid."""
    inner = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return json.loads(inner)
    except ValueError:
        return None
