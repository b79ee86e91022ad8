"""Steps of a run: messages of the model with their tool calls, and input requests.

A tool call goes through these phases, each reached by one event:

    requested ──started──▶ started ──(no person needed)──▶ done
                              │                             ▲
                              └─asked─▶ asked ─answer─▶ answered ─run.resumed─▶ resumed
                                          ▲                                        │
                                          └──── input_required ◀─(the server asks)─┘

An MCP server can also ask for input when the worker makes the call. It has not made the call then:
the same call follows with the answers.

If a worker reads `started` or `resumed` in a log that another worker wrote, it cannot know whether
the call was made. The declared effect of the tool then decides what the worker does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from runyard_service.domain.event_payloads.input_requests import LimitParams
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.events import Event

CallPhase = Literal[
    "requested", "started", "input_required", "asked", "answered", "resumed", "done"
]

# The type in the `tool` of a request to use changed tools of MCP servers.
TOOLS_TYPE = "mcp-tools"


class CallOrigin(Enum):
    """The worker that set the phase of a call, which shows whether the call may have been made."""

    THIS_WORKER = "this_worker"  # The call was not made yet.
    UNKNOWN = "unknown"  # Another worker, perhaps: the call may have been made.


@dataclass
class ToolCallState:
    """One tool call of a message, and its phase.

    `request_count` counts its input requests; `request` and `answer` are the newest of them.
    `op` is set if an agent's own code makes the call, or runs an unsafe step of this name.
    `approved_input` are the arguments that a person approved. `rounds` are the events in which a
    server asked for input. `answers` has all answers by the id of their request.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    iteration: int
    phase: CallPhase = "requested"
    request_count: int = 0
    request: Event | None = None
    answer: Event | None = None
    approved_input: Mapping[str, Any] | None = None
    rounds: list[Event] = field(default_factory=list)
    answers: dict[str, Event] = field(default_factory=dict)
    outcome: Event | None = None
    op: OperationRef | None = None

    @property
    def kind(self) -> str:
        """Return the kind of the operation; `tool` for the call of a model."""
        return self.op["kind"] if self.op else "tool"


@dataclass
class StepRecord:
    """One message of the model and the calls that it requests, in the order of the message."""

    message: MessageCompleted
    calls: list[ToolCallState] = field(default_factory=list)

    @property
    def unfinished(self) -> list[ToolCallState]:
        """Return the calls without a result."""
        return [call for call in self.calls if call.phase != "done"]


@dataclass
class InputRequestState:
    """An input request: about a call, or, without a call, about a limit or about changed tools."""

    event: Event
    call: ToolCallState | None = None
    answer: Event | None = None

    @property
    def id(self) -> str:
        """Return the id of the input request."""
        return str(self.event.data["id"])

    @property
    def is_denied(self) -> bool:
        """Return whether a person has denied the request."""
        return self.answer is not None and not self.answer.data.get("is_approved")

    @property
    def fails_run(self) -> bool:
        """Return whether the request has expired, and the run then fails."""
        return self.answer is not None and self.answer.data.get("on_expiry") == "fail"

    @property
    def is_about_tools(self) -> bool:
        """Return whether the request asks to use tools that have changed."""
        return self.call is None and self.event.data.get("tool", {}).get("type") == TOOLS_TYPE

    @property
    def limit(self) -> str:
        """Return the name of the limit to raise; empty for other requests."""
        return "" if self.call or self.is_about_tools else self.limit_params["limit"]

    @property
    def limit_params(self) -> LimitParams:
        """Return the `params` of a request about a limit."""
        params: LimitParams = self.event.data["params"]
        return params
