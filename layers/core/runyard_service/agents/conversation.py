"""Build the model's conversation from the log, and return the output that ends it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.conditions import fill_text
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.message_events import message_from
from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ChatMessage,
    ModelRequest,
    Text,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.no_answer import check_answers, no_answer_message
from runyard_service.agents.truncation import check_truncation, truncation_message
from runyard_service.domain.errors import OutputInvalidError
from runyard_service.domain.event_payloads import MessageCompleted
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import StepRecord, ToolCallState
from runyard_service.domain.threads import Message

_ANSWER_BY_TOOL = UserMessage(f"Return your answer by calling the tool {OUTPUT_TOOL}.")
# Providers require a user message before a response.
_NOTHING_NEW = UserMessage("(There is no new message.)")
_NO_FILES: Mapping[str, Attachment] = {}
# The fields of messages that have neither an output nor calls.

_INCOMPLETE = ("truncated", "no_answer", "paused")


class MessageHistory:
    """A cache of a run's messages: each step of a long run only builds the new ones."""

    def __init__(self) -> None:
        self._messages: list[ChatMessage] = []
        self._step_count = 0

    def messages_for(
        self,
        definition: AgentDefinition,
        history: History,
        returned_files: Mapping[str, Attachment],
    ) -> Sequence[ChatMessage]:
        """Return the messages of a history that only grows and has no unfinished call."""
        for step in history.steps[self._step_count :]:
            self._messages.append(message_from(step.message))
            self._messages.extend(map(_outcome, step.calls))
            if files := _files_of(step, returned_files):
                # Not every provider accepts files in a tool result; all accept them in a message.
                self._messages.append(UserMessage("The files of the results:", files))
            if not step.calls and not step.message.get("paused"):
                self._messages.append(_follow_up(definition, step.message))
        self._step_count = len(history.steps)
        return self._messages


def _files_of(step: StepRecord, returned: Mapping[str, Attachment]) -> Sequence[Attachment]:
    outcomes = [call.outcome for call in step.calls if call.outcome]
    return [returned[file["id"]] for each in outcomes for file in each.data.get("files", ())]


def _follow_up(definition: AgentDefinition, message: MessageCompleted) -> UserMessage:
    """Return what the model is asked after a text that did not end the run."""
    if message.get("truncated"):
        return truncation_message(message)
    if message.get("no_answer"):
        return no_answer_message(definition, message)
    return _ANSWER_BY_TOOL


def request_for(
    definition: AgentDefinition,
    run: Run,
    history: History,
    *,
    message_history: MessageHistory | None = None,
    messages: Sequence[Message] = (),
    attachments: Sequence[Attachment] = (),
    returned_files: Mapping[str, Attachment] = _NO_FILES,
    route: str = "",
) -> ModelRequest:
    """Return the request for the run's next response.

    The run's input and files are the first message; in a thread, `messages` come before its own
    messages instead. `returned_files` are those of tool results, by id. `message_history` caches
    the messages of earlier steps. `route` names the route of the model.
    """
    own_messages: list[ChatMessage] = []
    earlier = [_thread_message(message) for message in messages]
    if run.thread_id is None:
        own_messages.append(UserMessage(_first_message(definition, run.input), attachments))
    elif not messages or messages[-1].role != "user":
        own_messages.append(_NOTHING_NEW)
    cache = message_history or MessageHistory()
    own_messages.extend(cache.messages_for(definition, history, returned_files))
    return ModelRequest(
        instructions=definition.instructions,
        messages=own_messages,
        thread_messages=earlier,
        tools=[
            ToolSpec(tool.name, tool.description, tool.parameters)
            for tool in definition.callable_tools
        ],
        output_tool=_output_tool(definition),
        max_output_tokens=definition.max_output_tokens,
        input=run.input if run.thread_id is None else _as_input(messages),
        route=route,
    )


def _thread_message(message: Message) -> ChatMessage:
    if message.role == "user":
        return UserMessage(message.content)
    return AssistantMessage((Text(message.content),))


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


def text_output(
    message: MessageCompleted, earlier: Sequence[StepRecord]
) -> Mapping[str, Any] | None:
    """Return a message as the output of a run without a schema; None if it is not final.

    `earlier` are the steps before it: a paused message and its continuation are one text.
    """
    if message.get("tool_calls") or any(message.get(name) for name in _INCOMPLETE):
        return None
    content = message["content"]
    for step in reversed(earlier):
        if not step.message.get("paused"):
            break
        content = step.message["content"] + content
    return {"content": content}


def output_of(definition: AgentDefinition, history: History) -> Mapping[str, Any] | None:
    """Return the run's output from the newest response; None if the run must continue.

    Raise OutputInvalidError after too many outputs that do not match `output_schema`. Raise
    ResponseTruncatedError or NoAnswerError after too many truncated responses, or responses without
    an answer, in a row.
    """
    step = history.current
    if step is None:
        return None
    if step.message.get("truncated") or step.message.get("no_answer"):
        check_truncation(definition, history)
        check_answers(definition, history)
    if any(step.message.get(name) for name in _INCOMPLETE):
        return None
    schema = definition.output_schema
    if schema is None:
        return text_output(step.message, history.steps[:-1])
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
        if not any(step.message.get(name) for name in _INCOMPLETE)
    )


def _parse_json(text: str) -> Any:
    """Return the JSON value of a text, with or without a code fence; None if it is invalid."""
    inner = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return json.loads(inner)
    except ValueError:
        return None
