"""The `data` of the events about the operations of an agent's own code."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from runyard_service.domain.event_payloads.runs import ErrorInfo


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
    """`agent.step.started`, `.completed` (with `result`) and `.failed` (with `error`).

    `usage` is what a model has used that the step called by itself.
    """

    id: str
    object: str
    key: str
    digest: str
    name: str
    effect: str
    invocation: NotRequired[int]
    result: NotRequired[Any]
    error: NotRequired[Mapping[str, str]]
    usage: NotRequired[Mapping[str, int | float]]
