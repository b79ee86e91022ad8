"""The `data` of the events about the status of a run."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict


class ErrorInfo(TypedDict):
    """The error of a run or of a tool call.

    `error_id` finds an internal error in the log. `provider` is what the provider of the model
    said: `status`, `code`, `message`, `request_id`.
    """

    code: str
    message: str
    error_id: NotRequired[str]
    provider: NotRequired[Mapping[str, Any]]


class RecoveredPayload(TypedDict):
    """`run.recovered`.

    With the reason `model_fallback`, `route` names the route that the run uses from now on, and
    `error` is the last error of `failed_route`.
    """

    id: str
    reason: str
    attempt: int
    failed_route: NotRequired[str]
    route: NotRequired[str]
    error: NotRequired[ErrorInfo]


class RunRetrying(TypedDict):
    """`run.retrying`: a call of a model or a tool has failed, and the run waits to repeat it.

    `name` is the model or the tool, and `code` says how the call failed. `attempt` counts the
    failed attempts of this call from 1, over all workers. `next_at` is missing if Step Functions
    repeats the step: it waits for five minutes at most. `tool_call_id` is missing for a model.
    """

    id: str
    object: Literal["run"]
    what: Literal["model", "tool"]
    name: str
    attempt: int
    code: str
    next_at: NotRequired[str]
    tool_call_id: NotRequired[str]


class RunPayload(TypedDict):
    """The run and its status. `run.resumed` and `run.canceled` have nothing else."""

    id: str
    object: Literal["run"]
    status: str


class CodeVersion(TypedDict):
    """The version of an agent's own code. `sha256` is the digest that Lambda reports."""

    function: str
    version: str
    sha256: str


class RunStarted(RunPayload):
    """`run.started`. `code` is the version of an agent's own code that the run uses to its end."""

    code: NotRequired[CodeVersion]


class RunPaused(RunPayload):
    """`run.paused`. A run that sleeps has the `reason` `sleeping`, and continues at `until`."""

    reason: NotRequired[str]
    until: NotRequired[str]


class CancelRequested(TypedDict):
    """`run.cancel_requested`, with what a client of the Threads API sent with the cancel."""

    id: str
    requested_by: str
    last_seen_seq: NotRequired[int]
    client_cancelled_at: NotRequired[str]


class RunUsage(TypedDict):
    """The usage of a run. `cost_usd` is missing without a price, `duration_ms` before the end."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: NotRequired[int]
    cache_write_tokens: NotRequired[int]
    cost_usd: NotRequired[float]
    steps: int
    duration_ms: NotRequired[int]


class RunCompleted(RunPayload):
    """`run.completed`."""

    output: Mapping[str, Any]
    usage: RunUsage


class RunFailed(RunPayload):
    """`run.failed`."""

    error: ErrorInfo
    usage: RunUsage
