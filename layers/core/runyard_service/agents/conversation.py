"""The conversation that the model sees, rebuilt from the log, and the answer that ends it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.conditions import fill
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.definitions.schemas import validate
from runyard_service.agents.models.base import (
    Attachment,
    ModelRequest,
    ModelTurn,
    Response,
    Thinking,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    Turn,
    UserTurn,
)
from runyard_service.agents.truncation import check_truncation, truncation_notice
from runyard_service.domain.costs import to_number
from runyard_service.domain.errors import OutputInvalidError
from runyard_service.domain.event_payloads import MessageCompleted
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import StepRecord, ToolCallState
from runyard_service.domain.threads import Message

_ANSWER_BY_TOOL = UserTurn(f"Give your answer by calling the tool {OUTPUT_TOOL}.")
# Providers want a user's turn to reply to.
_NOTHING_NEW = UserTurn("(There is no new message.)")


class Turns:
    """The turns of a run's replies, each made once: a long run asks for them at every step."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._exchanges = 0

    def messages_for(self, history: History) -> Sequence[Turn]:
        """Those of a history that only grows, and in which no call is unfinished."""
        for step in history.steps[self._exchanges :]:
            self._turns.append(_model_turn(step))
            self._turns.extend(map(_outcome, step.calls))
            if not step.calls:
                # A plain text although a structured output was due, or a truncated response: any
                # other plain text ends the run.
                is_truncated = step.message.get("truncated")
                notice = truncation_notice(step.message) if is_truncated else _ANSWER_BY_TOOL
                self._turns.append(notice)
        self._exchanges = len(history.steps)
        return self._turns


def request_for(
    definition: AgentDefinition,
    run: Run,
    history: History,
    *,
    known: Turns | None = None,
    messages: Sequence[Message] = (),
    attachments: Sequence[Attachment] = (),
) -> ModelRequest:
    """The request for the run's next reply.

    The run's input and files are the first message; in a thread, `messages` come before its own
    turns instead. `known` saves what was made of the same history before.
    """
    turns: list[Turn] = []
    earlier = [_said(message) for message in messages]
    if run.thread_id is None:
        turns.append(UserTurn(_first_message(definition, run.input), attachments))
    elif not messages or messages[-1].role != "user":
        turns.append(_NOTHING_NEW)
    turns.extend((known or Turns()).messages_for(history))
    return ModelRequest(
        instructions=definition.instructions,
        turns=turns,
        thread_messages=earlier,
        tools=[ToolSpec(tool.name, tool.description, tool.parameters) for tool in definition.tools],
        output_tool=_output_tool(definition),
        max_output_tokens=definition.max_output_tokens,
        input=run.input if run.thread_id is None else _as_input(messages),
    )


def _said(message: Message) -> Turn:
    if message.role == "user":
        return UserTurn(message.content)
    return ModelTurn(message.content)


def _as_input(messages: Sequence[Message]) -> Mapping[str, Any]:
    """A thread as the data that a script's conditions and texts can name."""
    said = [message.content for message in messages if message.role == "user"]
    return {
        "content": said[-1] if said else "",
        "count": len(messages),
        "messages": [{"role": one.role, "content": one.content} for one in messages],
    }


def _first_message(definition: AgentDefinition, run_input: Mapping[str, Any]) -> str:
    if definition.prompt is not None:
        return str(fill(definition.prompt, {"input": run_input}))
    return json.dumps(run_input, ensure_ascii=False, indent=2)


def _output_tool(definition: AgentDefinition) -> ToolSpec | None:
    if definition.output_schema is None:
        return None
    return ToolSpec(OUTPUT_TOOL, "Gives the final answer.", definition.output_schema)


def _model_turn(step: StepRecord) -> ModelTurn:
    reply = step.message
    return ModelTurn(
        content=reply["content"],
        tool_calls=tuple(ToolCall(call.id, call.name, call.input) for call in step.calls),
        thinking=tuple(Thinking(**part) for part in reply.get("thinking", ())),
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


def message_event(reply: Response, iteration: int, truncated_by: str = "") -> NewEvent:
    """Return the model's message as the event that later requests are rebuilt from.

    Of a truncated response only the text is stored: its calls may be incomplete, and its reasoning
    lacks the provider's signature. `truncated_by` names the limit that shortened it.
    """
    data: MessageCompleted = {
        "object": "agent.message",
        "content": reply.turn.content,
        "iteration": iteration,
        "usage": {
            "input_tokens": reply.usage.input_tokens,
            "output_tokens": reply.usage.output_tokens,
            "cached_input_tokens": reply.usage.cached_input_tokens,
        },
        "model": reply.model,
    }
    if reply.cost_usd is not None:
        data["usage"]["cost_usd"] = to_number(reply.cost_usd)
    if reply.is_cut:
        data["truncated"] = True
        if truncated_by:
            data["truncated_by"] = truncated_by
        return NewEvent(type="agent.message.completed", data=data)
    if reply.turn.tool_calls:
        data["tool_calls"] = [
            {"id": call.id, "name": call.name, "input": call.input}
            for call in reply.turn.tool_calls
        ]
    if reply.turn.thinking:
        data["thinking"] = [
            {name: value for name, value in vars(part).items() if value is not None}
            for part in reply.turn.thinking
        ]
    return NewEvent(type="agent.message.completed", data=data)


def text_output(reply: MessageCompleted) -> Mapping[str, Any] | None:
    """The output that a reply, by its event's data, is by itself where no schema asks for more."""
    if reply.get("tool_calls") or reply.get("truncated"):
        return None
    return {"content": reply["content"]}


def output_of(definition: AgentDefinition, history: History) -> Mapping[str, Any] | None:
    """The run's output, where the newest reply gives it; None where the run must go on.

    Raises OutputInvalidError where the model has missed `output_schema` too often,
    ReplyTruncatedError where its replies were cut off too often.
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
    # An answer beside other calls was given before their results were known: it does not count.
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
    """The JSON that a text is, with or without a code fence around it."""
    inner = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return json.loads(inner)
    except ValueError:
        return None
