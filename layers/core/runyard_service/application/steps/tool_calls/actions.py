"""The possible next actions for a tool call, or for an operation of an agent's own code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard_service.agents.definitions.input_forms import MAX_FORMATTED_BYTES, size_of
from runyard_service.agents.definitions.json_schema.validation import format_issues
from runyard_service.agents.definitions.tools import ExecutableTool
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.errors import TerminalError

SKIPPED = "It is not known whether this call was made; it was not repeated."


@dataclass(frozen=True)
class Execute:
    """Make the call with these arguments."""

    tool: ExecutableTool
    input: Mapping[str, Any]


@dataclass(frozen=True)
class RequestInputs:
    """Publish the input requests of an MCP server, and wait for all answers."""

    requests: tuple[RequestInput, ...]


@dataclass(frozen=True)
class KeepWaiting:
    """Wait: the input request has no answer yet, or the run has not resumed."""


@dataclass(frozen=True)
class ResolveWithoutCall:
    """The result is known without the call; it is a failure if `error_code` is set."""

    content: str
    error_code: str | None = None


@dataclass(frozen=True)
class AllowStep:
    """Allow the agent's own code to run an unsafe step, whose start is recorded."""


@dataclass(frozen=True)
class Sleep:
    """Wait until this time (RFC 3339), without a person."""

    until: str


@dataclass(frozen=True)
class FailRun:
    """Fail the run with this error."""

    error: TerminalError


Action = (
    Execute
    | RequestInput
    | RequestInputs
    | KeepWaiting
    | ResolveWithoutCall
    | AllowStep
    | Sleep
    | FailRun
)


def input_requests_of(action: Action) -> tuple[RequestInput, ...]:
    """Return the input requests of an action."""
    if isinstance(action, RequestInputs):
        return action.requests
    return (action,) if isinstance(action, RequestInput) else ()


def check_size(ask: RequestInput) -> RequestInput | ResolveWithoutCall:
    """Return the input request, or an error if it is too large for a person."""
    if size_of(ask.prompt) + size_of(ask.params) <= MAX_FORMATTED_BYTES:
        return ask
    return ResolveWithoutCall(
        "The arguments are too large for a person to review.", "invalid_arguments"
    )


def format_errors(opening: str, issues: Mapping[str, str]) -> str:
    """Return the issues of named fields as one sentence."""
    return f"{opening}: {format_issues(issues)}."
