"""Protocol 1 between Runyard and the function of an agent: validate what the function returns.

A function is code of a stranger: counts, lengths and sizes are bounded here.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runyard_service.agents.definitions.json_schema.validation import format_issues, validate
from runyard_service.domain.costs import from_number, rounded, to_number
from runyard_service.domain.errors import OutputInvalidError, TerminalError
from runyard_service.domain.event_payloads.operations import OperationRef

PROTOCOL = 1
MAX_VALUE_BYTES = 256 * 1024
MAX_JOURNAL_BYTES = 4 * 1024 * 1024
MAX_MESSAGES_BYTES = 1024 * 1024
MAX_OPERATIONS = 100
MAX_DONE = 1000
_MAX_TOKENS = 10**9
_MAX_USD = 10_000

Key = Annotated[str, Field(min_length=1, max_length=512)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Effect = Literal["none", "idempotent", "unsafe"]


class InvalidResponseError(TerminalError):
    """The function of the agent did not return a response of the protocol."""

    code = "invalid_response"


class AgentCodeError(TerminalError):
    """The code of the agent failed the run. `code` is the code that its response names."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Model(BaseModel):
    # A later SDK may send more fields.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, defer_build=True)


class Failure(_Model):
    """An error of a step or of the agent; `type` is the class of the exception."""

    code: str = Field(max_length=64)
    message: str = Field(max_length=64 * 1024)
    type: str = Field("", max_length=256)

    def to_json(self) -> dict[str, str]:
        """Return the error as data of an event."""
        found = {"code": self.code, "message": self.message}
        return {**found, "type": self.type} if self.type else found


class StepUsage(_Model):
    """What a model has used that a step called by itself: tokens, and its cost if it is known."""

    input_tokens: int = Field(0, ge=0, le=_MAX_TOKENS)
    output_tokens: int = Field(0, ge=0, le=_MAX_TOKENS)
    cached_input_tokens: int = Field(0, ge=0, le=_MAX_TOKENS)
    cache_write_tokens: int = Field(0, ge=0, le=_MAX_TOKENS)
    cost_usd: float | None = Field(None, ge=0, le=_MAX_USD)

    def to_json(self) -> dict[str, int | float]:
        """Return the usage as data of an event, without what is 0 or unknown."""
        found: dict[str, int | float] = self.model_dump(exclude_defaults=True)
        if self.cost_usd is not None:
            found["cost_usd"] = to_number(rounded(from_number(self.cost_usd)))
        return found


class Done(_Model):
    """A step that ended in the invocation."""

    key: Key
    name: Name
    digest: Digest
    effect: Effect
    value: Any = None
    error: Failure | None = None
    usage: StepUsage | None = None


class Operation(_Model):
    """An operation that the code waits for; `op: step` asks for the permission to run a step."""

    key: Key
    op: Literal["model", "tool", "ask", "approve", "sleep", "step"]
    name: Name
    digest: Digest
    args: dict[str, Any] = Field(default_factory=dict)
    effect: Effect = "unsafe"

    def ref(self, invocation: int) -> OperationRef:
        """Return the `op` of the operation's events, which this invocation asked for."""
        return {
            "key": self.key,
            "digest": self.digest,
            "kind": self.op,
            "invocation": invocation,
        }


class Emit(_Model):
    """An event of the agent's own."""

    key: Key
    name: Name
    digest: Digest
    data: Any = None


class CodeResponse(_Model):
    """What one invocation did and asks for."""

    protocol: Literal[1]
    status: Literal["waiting", "completed", "failed"]
    done: list[Done] = Field(default_factory=list, max_length=MAX_DONE)
    ops: list[Operation] = Field(default_factory=list, max_length=MAX_OPERATIONS)
    emits: list[Emit] = Field(default_factory=list, max_length=MAX_DONE)
    more: bool = False
    output: Any = None
    error: Failure | None = None
    held: str | None = Field(None, max_length=256)

    @model_validator(mode="after")
    def _status_fits(self) -> "CodeResponse":
        if self.status == "failed" and self.error is None:
            raise ValueError("status failed needs an error")
        if self.status == "waiting" and not (self.ops or self.more):
            raise ValueError("status waiting needs ops, or more")
        keys = [done.key for done in self.done] + [emit.key for emit in self.emits]
        if len(keys) != len(set(keys)):
            raise ValueError("a key must occur once in done and emits")
        return self


def parse_response(payload: bytes) -> CodeResponse:
    """Return the response. Raise InvalidResponseError with the path of the first mistake."""
    try:
        return CodeResponse.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"])) or "the response"
        raise InvalidResponseError(
            f"The agent's function did not return a response of protocol {PROTOCOL}: "
            f"{path}: {first['msg']}. Is its handler the result of @agent?"
        ) from None


def output_of(response: CodeResponse, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the output of the run: an object, or `{"content": text}` for another value.

    Return an empty object if the code has not completed. Raise OutputInvalidError if the output
    does not match the schema of the agent.
    """
    if response.status != "completed":
        return {}
    output = response.output
    issues = validate(schema, output) if schema is not None else {}
    if issues:
        text = format_issues(issues)
        raise OutputInvalidError(f"the output of the code does not match output_schema: {text}")
    if isinstance(output, dict):
        return output
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return {"content": text}
