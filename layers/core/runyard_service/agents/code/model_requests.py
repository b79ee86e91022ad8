"""The request for a response that an agent's own code asks for, and what its code gets back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runyard_service.agents.code.protocol import InvalidResponseError, Operation
from runyard_service.agents.conversation import output_tool
from runyard_service.agents.definitions.json_schema.validation import format_issues, validate
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.message_events import message_from
from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    ModelRequest,
    Text,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.steps import StepRecord

_MAX_MESSAGES = 10_000
_MAX_TOOLS = 128


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Call(_Model):
    id: str
    name: str
    input: dict[str, Any]


class _User(_Model):
    role: Literal["user"]
    content: str


class _Assistant(_Model):
    role: Literal["assistant"]
    content: str = ""
    tool_calls: list[_Call] = Field(default_factory=list)


class _Tool(_Model):
    role: Literal["tool"]
    tool_call_id: str
    content: str
    is_error: bool = False


class _Function(_Model):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})


class ModelArguments(_Model):
    """The `args` of an operation `model`."""

    messages: list[Annotated[_User | _Assistant | _Tool, Field(discriminator="role")]] = Field(
        min_length=1, max_length=_MAX_MESSAGES
    )
    tools: list[_Function] = Field(default_factory=list, max_length=_MAX_TOOLS)
    output_schema: dict[str, Any] | None = None
    instructions: str = ""
    max_output_tokens: int | None = Field(None, ge=1)
    route: str | None = None


def parse_arguments(operation: Operation) -> ModelArguments:
    """Return the arguments. Raise InvalidResponseError with the path of the first mistake."""
    try:
        return ModelArguments.model_validate(operation.args)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise InvalidResponseError(
            f"The arguments of {operation.key} are invalid: {path}: {first['msg']}."
        ) from None


def own_request(
    operation: Operation, definition: AgentDefinition, steps: Sequence[StepRecord], route: str
) -> ModelRequest:
    """Return the request of an operation `model`. Raise InvalidResponseError for its arguments.

    A response that the run has recorded goes back as its provider wrote it.
    """
    arguments = parse_arguments(operation)
    schema = arguments.output_schema
    return ModelRequest(
        instructions=arguments.instructions or definition.instructions,
        messages=list(_messages(arguments, steps)),
        tools=[ToolSpec(tool.name, tool.description, tool.parameters) for tool in arguments.tools],
        output_tool=None if schema is None else output_tool(schema),
        max_output_tokens=arguments.max_output_tokens or definition.max_output_tokens,
        route=route,
        settings=definition,
    )


def _messages(arguments: ModelArguments, steps: Sequence[StepRecord]) -> Iterator[ChatMessage]:
    recorded = {
        call["id"]: step.message for step in steps for call in step.message.get("tool_calls", ())
    }
    names: dict[str, str] = {}
    for message in arguments.messages:
        match message:
            case _User(content=content):
                yield UserMessage(content)
            case _Assistant():
                names |= {call.id: call.name for call in message.tool_calls}
                first = message.tool_calls[0].id if message.tool_calls else ""
                if first in recorded:
                    yield message_from(recorded[first])
                else:
                    yield _assistant_message(message)
            case _Tool():
                name = names.get(message.tool_call_id, "tool")
                yield ToolOutcome(message.tool_call_id, name, message.content, message.is_error)


def _assistant_message(message: _Assistant) -> AssistantMessage:
    text = [Text(message.content)] if message.content else []
    calls = [ToolCall(call.id, call.name, call.input) for call in message.tool_calls]
    return AssistantMessage((*text, *calls))


def completed_op(operation: Operation, invocation: int, message: MessageCompleted) -> OperationRef:
    """Return the `op` of the response, with the structured output or why there is none."""
    ref = operation.ref(invocation)
    schema: Mapping[str, Any] | None = operation.args.get("output_schema")
    if schema is None:
        return ref
    outputs = [
        call["input"] for call in message.get("tool_calls", ()) if call["name"] == OUTPUT_TOOL
    ]
    issues = validate(schema, outputs[0]) if outputs else {OUTPUT_TOOL: "was not called"}
    if issues:
        text = format_issues(issues)
        ref["error"] = {
            "code": "output_invalid",
            "message": f"The response does not match output_schema: {text}.",
        }
    elif outputs:
        ref["output"] = outputs[0]
    return ref
