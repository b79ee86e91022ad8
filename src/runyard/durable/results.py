"""What the operations of a context return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """A call that the model asks for. The agent's code decides whether it makes the call."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class ModelResponse:
    """A response of a model.

    `output` is the structured output if the call had an `output_schema`. `message` is the response
    as a message for the next call. `usage` has the tokens and the cost in USD.
    """

    text: str
    tool_calls: Sequence[ToolCall] = ()
    output: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_journal(cls, value: Mapping[str, Any]) -> "ModelResponse":
        """Return the response of a recorded value: `{message, output?, usage?}`."""
        message = value["message"]
        calls = [
            ToolCall(call["id"], call["name"], call["input"])
            for call in message.get("tool_calls", ())
        ]
        return cls(
            text=message.get("content", ""),
            tool_calls=calls,
            output=value.get("output"),
            usage=value.get("usage", {}),
            message=message,
        )


@dataclass(frozen=True)
class File:
    """A file of the run. `size` is in bytes."""

    id: str
    name: str
    mime_type: str
    size: int
    _open: Callable[[], Any] = field(repr=False, compare=False)

    def read(self) -> bytes:
        """Return the bytes of the file. Call it in a step."""
        with self._open() as response:
            content: bytes = response.read()
        return content


@dataclass(frozen=True)
class Approval:
    """The answer of a person to an approval request.

    `params` are the proposed parameters with the changes of the person. `feedback` is the text of
    the person, if there is any.
    """

    is_approved: bool
    params: Mapping[str, Any]
    feedback: str | None = None
