"""Truncated responses: the message to the model, and the limit of consecutive truncations.

A truncated response is recorded with `truncated` and without its calls: none of them is made. The
model may respond again; after `limits.truncated_replies` of them in a row the run fails.
"""

from collections.abc import Mapping
from typing import Any

from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.models.base import UserMessage
from runyard_service.agents.models.token_bounds import DEFAULT_OUTPUT_TOKENS
from runyard_service.domain.errors import ResponseTruncatedError
from runyard_service.domain.history.history import History

# The run's own limits: a limit that truncates a response ends the run, or a person raises it.
BUDGETS = frozenset({"tokens", "usd"})
# The value of `truncated_by` if only a budget requires a maximum length.
DEFAULT_LENGTH = "max_output_tokens"


def truncation_message(response: Mapping[str, Any]) -> UserMessage:
    """Return the message to the model after a truncated response, by its event's data."""
    tokens = _output_tokens(response)
    position = f" at {tokens} tokens" if tokens else ""
    return UserMessage(
        f"Your response was cut off{position}. None of its tool calls was made. "
        "Continue with a shorter, complete response."
    )


def check_truncation(definition: AgentDefinition, history: History) -> None:
    """Raise ResponseTruncatedError if the newest responses reach the limit of truncations."""
    in_a_row = 0
    for step in reversed(history.steps):
        if not step.message.get("truncated") or step.message.get("truncated_by") in BUDGETS:
            break
        in_a_row += 1
    if in_a_row < definition.limits.truncated_replies:
        return
    response = history.steps[-1].message
    tokens = _output_tokens(response)
    position = f"the last at {tokens} tokens" if tokens else "the last at an unknown length"
    times = "A response was" if in_a_row == 1 else f"{in_a_row} responses in a row were"
    raise ResponseTruncatedError(f"{times} cut off, {position}: {_cause(definition, response)}.")


def _cause(definition: AgentDefinition, response: Mapping[str, Any]) -> str:
    """Return the limit that truncated the response, and its source."""
    own, tokens = definition.max_output_tokens, _output_tokens(response)
    # A shorter response reached another limit: the context window, or the server's.
    if own is not None and (not tokens or tokens >= own):
        return f"the agent's max_output_tokens is {own}"
    if response.get("truncated_by") == DEFAULT_LENGTH and (
        not tokens or tokens >= DEFAULT_OUTPUT_TOKENS
    ):
        return (
            f"{DEFAULT_OUTPUT_TOKENS} tokens are the default of an agent with a budget that sets"
            " no max_output_tokens"
        )
    return "the provider or the model's context window set this limit"


def _output_tokens(response: Mapping[str, Any]) -> int:
    """Return the output tokens that the provider counted; 0 if it counted none."""
    return int(response.get("usage", {}).get("output_tokens") or 0)
