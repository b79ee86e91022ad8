"""Replies that were cut off before the model was done: what the model is told, and when to stop.

A truncated reply is recorded with `truncated`, without its calls: none of them is made. The model
may reply again; after `limits.truncated_replies` of them in a row the run fails.
"""

from collections.abc import Mapping
from typing import Any

from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.models.base import UserTurn
from runyard_service.agents.models.token_bounds import DEFAULT_OUTPUT_TOKENS
from runyard_service.domain.errors import ResponseTruncatedError
from runyard_service.domain.history import History

# The run's own limits: one that cuts a reply off ends the run, or a person raises it.
BUDGETS = frozenset({"tokens", "usd"})
# The value of `truncated_by` where the agent sets no length, and a budget has to set one.
DEFAULT_LENGTH = "max_output_tokens"


def truncation_notice(reply: Mapping[str, Any]) -> UserTurn:
    """Return what the model is told after a truncated reply, by the data of the reply's event."""
    tokens = _output_tokens(reply)
    place = f" at {tokens} tokens" if tokens else ""
    return UserTurn(
        f"Your reply was cut off{place}. None of its tool calls was made. "
        "Continue with a shorter reply, and give it as a whole."
    )


def check_truncation(definition: AgentDefinition, history: History) -> None:
    """Raise ReplyTruncatedError if the newest replies were truncated as often as is allowed."""
    in_a_row = 0
    for step in reversed(history.steps):
        if not step.message.get("truncated") or step.message.get("truncated_by") in BUDGETS:
            break
        in_a_row += 1
    if in_a_row < definition.limits.truncated_replies:
        return
    reply = history.steps[-1].message
    tokens = _output_tokens(reply)
    place = f"the last at {tokens} tokens" if tokens else "the last at an unknown length"
    times = "A reply was" if in_a_row == 1 else f"{in_a_row} replies in a row were"
    raise ResponseTruncatedError(f"{times} cut off, {place}: {_cause(definition, reply)}.")


def _cause(definition: AgentDefinition, reply: Mapping[str, Any]) -> str:
    """Return the limit that cut the reply off, and what set it."""
    own, tokens = definition.max_output_tokens, _output_tokens(reply)
    # A shorter reply did not meet our limit, but another one: the context window, or the server's.
    if own is not None and (not tokens or tokens >= own):
        return f"the agent's max_output_tokens is {own}"
    if reply.get("truncated_by") == DEFAULT_LENGTH and (
        not tokens or tokens >= DEFAULT_OUTPUT_TOKENS
    ):
        return (
            f"{DEFAULT_OUTPUT_TOKENS} tokens are the default of an agent with a budget that sets"
            " no max_output_tokens"
        )
    return "the provider or the model's context window set this limit"


def _output_tokens(reply: Mapping[str, Any]) -> int:
    """Return the output tokens that the provider counted; 0 if it counted none."""
    return int(reply.get("usage", {}).get("output_tokens") or 0)
