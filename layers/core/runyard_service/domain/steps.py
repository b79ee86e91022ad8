"""What a model asked for and a person was asked: replies with their calls, and questions.

A tool call goes through these phases, each reached by one event:

    requested ──started──▶ started ──(no person needed)──▶ done
                              │                             ▲
                              └─asked─▶ asked ─answer─▶ answered ─run.resumed─▶ resumed

If a worker reads `started` or `resumed` in a log that another worker wrote, it cannot know whether
the call was made. The declared effect of the tool then decides what the worker does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from runyard_service.domain.event_payloads import LimitParams, MessageCompleted
from runyard_service.domain.events import Event

CallPhase = Literal["requested", "started", "asked", "answered", "resumed", "done"]


class CallOrigin(Enum):
    """Who brought a call to its phase, and so whether the call can have been made already."""

    THIS_WORKER = "this_worker"  # The caller did: the call was not made yet.
    UNKNOWN = "unknown"  # Another worker may have done so: the call may have been made.


@dataclass
class ToolCallState:
    """One tool call of a reply and how far it has come.

    `questions` counts those asked about it; `question` and `answer` are the newest of each.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    iteration: int
    phase: CallPhase = "requested"
    request_count: int = 0
    request: Event | None = None
    answer: Event | None = None
    outcome: Event | None = None


@dataclass
class StepRecord:
    """One reply of the model and the calls that it asked for, in its order."""

    message: MessageCompleted
    calls: list[ToolCallState] = field(default_factory=list)

    @property
    def unfinished(self) -> list[ToolCallState]:
        """The calls whose result the model is still waiting for."""
        return [call for call in self.calls if call.phase != "done"]


@dataclass
class InputRequestState:
    """What a person was asked: about a call, or, without one, about a limit that the run met."""

    event: Event
    call: ToolCallState | None = None
    answer: Event | None = None

    @property
    def id(self) -> str:
        """The id of its request."""
        return str(self.event.data["id"])

    @property
    def limit(self) -> str:
        """The name of the limit that a person may raise; empty for a request about a call."""
        return "" if self.call else self.limit_params["limit"]

    @property
    def limit_params(self) -> LimitParams:
        """The `params` of a request about a limit."""
        params: LimitParams = self.event.data["params"]
        return params
