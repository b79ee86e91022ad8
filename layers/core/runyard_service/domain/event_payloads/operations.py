"""The `data` of the events about the operations of an agent's own code."""

from collections.abc import Mapping
from typing import Any, NotRequired

from typing_extensions import TypedDict

from runyard_service.domain.event_payloads.runs import ErrorInfo


class ToolLabel(TypedDict):
    """A tool, or an operation of an agent's own code, as events name it.

    `effect` is in the events of input requests: `none`, `idempotent` or `unsafe`.
    """

    name: str
    type: str
    effect: NotRequired[str]


class OperationRef(TypedDict):
    """The operation of an agent's own code that an event belongs to: its `op`.

    `kind` is `model`, `tool`, `ask`, `approve`, `sleep` or `step`. `invocation` is the number of
    the invocation that asked for it, from 1. On a message, `output` is the structured output, and
    `error` says why there is none.
    """

    key: str
    digest: str
    kind: str
    invocation: NotRequired[int]
    output: NotRequired[Mapping[str, Any]]
    error: NotRequired[ErrorInfo]


class StepPayload(TypedDict):
    """`agent.step.started`. The other events of a step have these fields too.

    `usage` is in the events of its end: what a model has used that the step called by itself.
    """

    id: str
    object: str
    key: str
    digest: str
    name: str
    effect: str
    invocation: NotRequired[int]
    usage: NotRequired[Mapping[str, int | float]]


class StepCompleted(StepPayload):
    """`agent.step.completed`. `result` is any JSON."""

    result: Any


class StepError(TypedDict):
    """Why a step failed. `type` is the class of the exception."""

    code: str
    message: str
    type: NotRequired[str]


class StepFailed(StepPayload):
    """`agent.step.failed`."""

    error: StepError


class Emitted(TypedDict):
    """`agent.emitted`: an event of the agent's own."""

    key: str
    digest: str
    name: str
    data: Any
    invocation: NotRequired[int]
