"""The translation of a conversation and its tools into pydantic-ai's messages and parameters.

`returned_responses.py` translates the responses in it. Nothing here does any I/O.
"""

from collections.abc import Iterator, Sequence

from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequestPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as ProviderRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from runyard_service.agents.models.attachments import contents_of
from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ModelRequest,
    Thinking,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.models.providers.call_names import CallIds, safe_name
from runyard_service.agents.models.providers.returned_responses import to_response
from runyard_service.domain.content_types import IMAGES

# Anthropic and Bedrock reject texts without a visible character, but need the message.
_BLANK_MESSAGE = "(This message is empty.)"
_BLANK_RESULT = "(The result is empty.)"


def to_parameters(request: ModelRequest) -> ModelRequestParameters:
    """Return the tools of a request, and whether the model may answer in plain text.

    With an output tool the request requires a tool call, the output tool or any
    other (`tool_choice: required`): else a structured output could arrive as prose. An agent can
    choose `auto`, or the provider's JSON mode.
    """
    functions = [_tool_definition(tool) for tool in request.tools]
    if request.output_tool is None:
        return ModelRequestParameters(function_tools=functions)
    if request.settings.output_mode == "native":
        schema = OutputObjectDefinition(
            dict(request.output_tool.parameters),
            name=request.output_tool.name,
            description=request.output_tool.description,
        )
        return ModelRequestParameters(
            function_tools=functions, output_mode="native", output_object=schema
        )
    return ModelRequestParameters(
        function_tools=functions,
        output_tools=[_tool_definition(request.output_tool, is_output=True)],
        output_mode="tool",
        allow_text_output=request.settings.tool_choice == "auto",
    )


def _tool_definition(tool: ToolSpec, is_output: bool = False) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=dict(tool.parameters),
        kind="output" if is_output else "function",
    )


def may_reason(request: ModelRequest, provider: str) -> bool:
    """Return whether the provider accepts reasoning after the newest response.

    Claude then requires signed reasoning in that response (until its version 4.5). After a switch
    the response can be another provider's, or one that was requested without reasoning.
    """
    responses = [each for each in request.messages if isinstance(each, AssistantMessage)]
    if not request.is_fallback or not responses or provider not in ("anthropic", "bedrock"):
        return True
    is_own = responses[-1].route == request.route
    return is_own and any(
        isinstance(part, Thinking) and part.signature for part in responses[-1].parts
    )


def to_messages(request: ModelRequest, api: str, provider: str) -> list[ModelMessage]:
    """Return the whole conversation as messages, with the instructions on each request.

    `api` and `provider` are those of the route.
    """
    messages: list[ModelMessage] = []
    pending: list[UserMessage | ToolOutcome] = []
    ids = CallIds()
    for message in [*request.thread_messages, *request.messages]:
        if isinstance(message, AssistantMessage):
            is_own = message.route == request.route
            ids.add(message.tool_calls, is_own=is_own)
            if response := to_response(message, provider if is_own else "", ids, api):
                messages.extend(_requests(pending, request.instructions, ids))
                pending = []
                messages.append(response)
        else:
            pending.append(message)
    messages.extend(_requests(pending, request.instructions, ids))
    return messages


def _requests(
    messages: Sequence[UserMessage | ToolOutcome], instructions: str, ids: CallIds
) -> Iterator[ProviderRequest]:
    """Yield the messages between two responses as at most one request.

    Results come first: every provider wants them right after the calls, even if a person sent a
    message while the calls were in flight.
    """
    outcomes = [
        _return_part(message, ids) for message in messages if isinstance(message, ToolOutcome)
    ]
    prompts = [
        UserPromptPart(_prompt(message)) for message in messages if isinstance(message, UserMessage)
    ]
    parts: list[ModelRequestPart] = [*outcomes, *prompts]
    if parts:
        yield ProviderRequest(parts=parts, instructions=instructions)


def _prompt(message: UserMessage) -> str | list[UserContent]:
    if not message.attachments:
        return message.content if message.content.strip() else _BLANK_MESSAGE
    return [
        piece if isinstance(piece, str) else _file_content(piece)
        for piece in contents_of(message)
        if not isinstance(piece, str) or piece.strip()
    ]


def _file_content(file: Attachment) -> UserContent:
    if not file.uri:
        return BinaryContent(file.data, media_type=file.mime_type)
    kind = ImageUrl if file.mime_type in IMAGES else DocumentUrl
    return kind(file.uri, media_type=file.mime_type)


def _return_part(outcome: ToolOutcome, ids: CallIds) -> ToolReturnPart:
    # `failed` reaches the provider as an error (a flag, or `{"error": …}` where it has none),
    # without the words about trying again that `retried` brings.
    return ToolReturnPart(
        tool_name=safe_name(outcome.tool_name),
        content=outcome.content if outcome.content.strip() else _BLANK_RESULT,
        tool_call_id=ids.of(outcome.tool_call_id),
        outcome="failed" if outcome.is_error else "success",
    )
