"""A model of pydantic-ai that requests responses through the service."""

from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from runyard.durable import frameworks


class ServiceModel(Model):
    """The model of the agent's route: `ctx.call_model` makes its requests."""

    @property
    def model_name(self) -> str:
        """The name in the messages of pydantic-ai."""
        return "runyard"

    @property
    def system(self) -> str:
        """The provider's name for telemetry."""
        return "runyard"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Request a response from the service."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        prepared = self.prepare_messages(messages, parameters)
        tools = [
            {
                "name": tool.name,
                "description": tool.description or "",
                "parameters": tool.parameters_json_schema,
            }
            for tool in [*parameters.function_tools, *parameters.output_tools]
        ]
        response = await frameworks.current_context().call_model(
            [item for message in prepared for item in _service_messages(message)],
            tools=tools,
            instructions=self._instructions_of(messages, parameters),
            max_output_tokens=(settings or {}).get("max_tokens"),
        )
        parts: list[Any] = [TextPart(response.text)] if response.text else []
        parts += [
            ToolCallPart(call.name, dict(call.input), tool_call_id=call.id)
            for call in response.tool_calls
        ]
        usage = response.usage
        return ModelResponse(
            parts=parts,
            model_name=self.model_name,
            usage=RequestUsage(
                input_tokens=usage.get("input_tokens", 0),
                output_tokens=usage.get("output_tokens", 0),
            ),
        )

    def _instructions_of(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters
    ) -> str:
        system = [
            part.content
            for message in messages
            for part in message.parts
            if isinstance(part, SystemPromptPart)
        ]
        parts = self._get_instruction_parts(messages, parameters) or []
        return "\n\n".join([*system, *(part.content for part in parts)])


def _service_messages(message: ModelMessage) -> list[dict[str, Any]]:
    """Return a message of pydantic-ai as messages of `ctx.call_model`."""
    if isinstance(message, ModelResponse):
        calls = [
            {"id": part.tool_call_id, "name": part.tool_name, "input": part.args_as_dict()}
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ]
        text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
        return [{"role": "assistant", "content": text, "tool_calls": calls}]
    assert isinstance(message, ModelRequest)
    return [item for part in message.parts for item in _service_message(part)]


def _service_message(part: Any) -> list[dict[str, Any]]:
    match part:
        case UserPromptPart(content=str(text)):
            return [{"role": "user", "content": text}]
        case UserPromptPart(content=content):
            if any(not isinstance(item, str) for item in content):
                raise TypeError("the model 'runyard' takes prompts that are texts")
            return [{"role": "user", "content": "\n".join(map(str, content))}]
        case ToolReturnPart():
            message = {"content": part.model_response_str(), "is_error": part.outcome != "success"}
            return [{"role": "tool", "tool_call_id": part.tool_call_id, **message}]
    return []
