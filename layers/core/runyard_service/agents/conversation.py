"""Build the model's conversation from the log, and return the output that ends it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.conditions import fill_text
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ChatMessage,
    ModelRequest,
    Text,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.no_answer import check_answers
from runyard_service.agents.step_messages import NO_FILES, MessageHistory
from runyard_service.agents.truncation import check_truncation
from runyard_service.domain.errors import OutputInvalidError
from runyard_service.domain.event_payloads.messages import ContextCompacted, MessageCompleted
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import StepRecord
from runyard_service.domain.threads import Message

_NOW = re.compile(r"\{\{\s*now\s*\}\}")
# Providers require a user message before a response.
_NOTHING_NEW = UserMessage("(There is no new message.)")
_SUMMARY = """This summary replaces the earlier part of this conversation:

{}

Continue with what is left to do."""
# The fields of messages that have neither an output nor calls.
_INCOMPLETE = ("truncated", "no_answer", "paused")


def request_for(
    definition: AgentDefinition,
    run: Run,
    history: History,
    *,
    message_history: MessageHistory | None = None,
    messages: Sequence[Message] = (),
    attachments: Sequence[Attachment] = (),
    returned_files: Mapping[str, Attachment] = NO_FILES,
    route: str = "",
) -> ModelRequest:
    """Return the request for the run's next response.

    The run's input and files are the first message; in a thread, `messages` come before its own
    messages instead. `returned_files` are those of tool results, by id. `message_history` caches
    the messages of earlier steps. `route` names the route of the model.
    """
    compaction, steps = history.compaction, history.steps
    first = first_messages(definition, run, messages, attachments)
    earlier, before_steps = with_summary(list(map(thread_message, messages)), first, compaction)
    cache = message_history or MessageHistory()
    own_messages = [
        *before_steps,
        *cache.messages_for(definition, steps, compaction, returned_files),
    ]
    return ModelRequest(
        instructions=_instructions(definition, run),
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
        settings=_settings(definition, history),
        left_out=cache.left_out,
    )


def _instructions(definition: AgentDefinition, run: Run) -> str:
    """Return the instructions with the time of the run's creation, the same in each request.

    Only `{{ now }}` is replaced: instructions may explain templates to the model.
    """
    return _NOW.sub(run.started_at, definition.instructions)


def _settings(definition: AgentDefinition, history: History) -> RequestSettings:
    """Return the settings of the next request. A required call is required once."""
    if definition.requires_call and any(step.calls for step in history.steps):
        return definition.model_copy(update={"tool_choice": None})
    return definition


def first_messages(
    definition: AgentDefinition,
    run: Run,
    messages: Sequence[Message] = (),
    attachments: Sequence[Attachment] = (),
) -> list[ChatMessage]:
    """Return what comes before the steps of the run, and never changes."""
    if run.thread_id is None:
        return [UserMessage(_first_message(definition, run), attachments)]
    is_answered = not messages or messages[-1].role != "user"
    return [_NOTHING_NEW] if is_answered else []


def with_summary(
    earlier: list[ChatMessage], first: list[ChatMessage], compaction: ContextCompacted | None
) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """Return the messages of the thread and the first of the run, with the summary among them.

    A summary of steps follows the first message. Another summary is of the thread alone, and comes
    before its other messages.
    """
    if compaction is None:
        return earlier, first
    rest = earlier[compaction["thread_messages"] :]
    if not compaction["summary"]:
        return rest, first
    summary = UserMessage(_SUMMARY.format(compaction["summary"]))
    if compaction["through"]:
        return rest, [*first, summary]
    return [summary, *rest], first


def thread_message(message: Message) -> ChatMessage:
    """Return a message of the thread as the model gets it."""
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


def _first_message(definition: AgentDefinition, run: Run) -> str:
    if definition.prompt is not None:
        return fill_text(definition.prompt, {"input": run.input, "now": run.started_at})
    return json.dumps(run.input, ensure_ascii=False, indent=2)


def _output_tool(definition: AgentDefinition) -> ToolSpec | None:
    if definition.output_schema is None:
        return None
    return output_tool(definition.output_schema)


def output_tool(schema: Mapping[str, Any]) -> ToolSpec:
    """Return the built-in tool whose arguments are the structured output."""
    return ToolSpec(OUTPUT_TOOL, "Return the final answer.", schema)


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
