"""Responses without an answer: what is missing, the message to the model, and the limit.

Such a response is recorded with `no_answer` and without its calls: none of them is made. The model
may respond again; after `limits.output_attempts` of them in a row the run fails.
"""

from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.models.base import Response, Thinking, UserMessage
from runyard_service.domain.errors import NoAnswerError
from runyard_service.domain.event_payloads.messages import MessageCompleted, MissingAnswer
from runyard_service.domain.history.history import History

# As the providers name the regular end of a response, in lower case. OpenAI-compatible servers also
# use other providers' words.
_COMPLETE = frozenset(
    {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed"}
    | {"done", "finish_reason_stop", "compaction"}
)
_CALLS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})
# Anthropic: the turn is not complete, and the next request continues it.
_PAUSE = "pause_turn"

_WHAT_IS_MISSING: dict[MissingAnswer, str] = {
    "empty": "had no text and no tool call",
    "reasoning_only": "had only reasoning, and no text or tool call",
    "no_tool_call": "announced a tool call, but had none",
    "incomplete": "was not complete",
}


def is_paused(response: Response) -> bool:
    """Return whether the provider interrupted the response, and the next request continues it."""
    return response.finish_reason.lower() == _PAUSE and not response.message.tool_calls


def missing_answer(definition: AgentDefinition, response: Response) -> MissingAnswer | None:
    """Return what a complete response lacks to be an answer; None if it lacks nothing."""
    message, reason = response.message, response.finish_reason.lower()
    if reason == _PAUSE:
        return None
    if reason and reason not in _COMPLETE | _CALLS:
        return "incomplete"
    if message.tool_calls:
        return None
    if reason in _CALLS:
        return "no_tool_call"
    if message.content.strip() or definition.empty_output == "allow":
        return None
    has_reasoning = any(isinstance(part, Thinking) for part in message.parts)
    return "reasoning_only" if has_reasoning else "empty"


def no_answer_message(definition: AgentDefinition, message: MessageCompleted) -> UserMessage:
    """Return the message to the model after a response without an answer."""
    if definition.output_schema is None:
        next_step = "Answer in text, or call a tool."
    elif definition.output_mode == "native":
        next_step = "Return your answer as one JSON object that matches the schema, or call a tool."
    else:
        next_step = f"Return your answer by calling the tool {OUTPUT_TOOL}, or call another tool."
    missing = _describe(message)
    if message["no_answer"] == "incomplete":
        missing += ". None of its tool calls was made"
    return UserMessage(f"Your response {missing}. {next_step}")


def check_answers(definition: AgentDefinition, history: History) -> None:
    """Raise NoAnswerError if the newest responses reach the limit of those without an answer."""
    in_a_row = 0
    for step in reversed(history.steps):
        if not step.message.get("no_answer"):
            break
        in_a_row += 1
    if in_a_row < definition.limits.output_attempts:
        return
    message = history.steps[-1].message
    times = "A response" if in_a_row == 1 else f"{in_a_row} responses in a row"
    reason = message["finish_reason"] or "none"
    raise NoAnswerError(
        f"{times} had no answer. The last {_describe(message)}. "
        f"The provider's finish reason: {reason}."
    )


def _describe(message: MessageCompleted) -> str:
    missing = _WHAT_IS_MISSING[message["no_answer"]]
    if message["no_answer"] == "incomplete":
        return f"{missing} (finish reason: {message['finish_reason']})"
    return missing
