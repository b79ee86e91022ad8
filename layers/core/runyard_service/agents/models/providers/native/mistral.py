"""Mistral's chat completions: as OpenAI's, with reasoning as chunks of the content.

Mistral rejects fields that it does not know, a user's message after a tool's, and call ids that are
not nine letters and digits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic_ai import _model_errors
from pydantic_ai.exceptions import ModelContextWindowExceededError, ModelHTTPError
from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponseStreamEvent
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.mistral import mistral_model_profile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from runyard_service.agents.models.providers.native.base import (
    NativeModel,
    NativeStream,
    chosen_tools,
)
from runyard_service.agents.models.providers.native.mistral_messages import to_mistral_messages

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_call",
    "error": "error",
}
_CONTEXT_EXCEEDED = "3051"
# Mistral's names of the settings that it takes as they are.
_SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "seed": "random_seed",
}


class MistralModel(NativeModel):
    """A model of Mistral, or of another address with the same API."""

    default_url = "https://api.mistral.ai/v1"

    @staticmethod
    def profile_of(name: str) -> ModelProfile:
        """Return what pydantic-ai knows of the model, all of which have a JSON mode."""
        return {**(mistral_model_profile(name) or {}), "supports_json_schema_output": True}

    @property
    def system(self) -> str:
        """Return the name of the provider."""
        return "mistral"

    @property
    def path(self) -> str:
        """Return the path of the request."""
        return "/chat/completions"

    @property
    def key_header(self) -> dict[str, str]:
        """Return the header with the API key."""
        return {"authorization": f"Bearer {self._key}"}

    def body(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> dict[str, Any]:
        """Return the body of the request."""
        instructions = self._get_instruction_parts(messages, parameters) or []
        system = [{"role": "system", "content": own.content} for own in instructions]
        body: dict[str, Any] = {
            "model": self._name,
            "messages": [*system, *to_mistral_messages(messages)],
            "stream": True,
        }
        tools, choice, names = chosen_tools(settings, parameters)
        if names:
            tools = [tool for tool in tools if tool.name in names]
        # With `none`, Mistral's models write calls as text. So they get no tools.
        if tools and choice != "none":
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description or "",
                        "parameters": tool.parameters_json_schema,
                    },
                }
                for tool in tools
            ]
            body["tool_choice"] = "any" if choice == "required" else "auto"
            if (is_parallel := settings.get("parallel_tool_calls")) is not None:
                body["parallel_tool_calls"] = is_parallel
        return body | self._options(settings, parameters)

    def _options(
        self, settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        values: Mapping[str, Any] = settings
        options = {
            own: values[name] for name, own in _SETTINGS.items() if values.get(name) is not None
        }
        is_adjustable = not self.profile.get("thinking_always_enabled", False)
        if parameters.thinking is not None and is_adjustable:
            # Mistral has no effort between these two.
            options["reasoning_effort"] = "none" if parameters.thinking is False else "high"
        if parameters.output_mode == "native" and (output := parameters.output_object) is not None:
            schema = {"name": output.name or "output", "schema": output.json_schema}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        return options

    def error(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> ModelHTTPError:
        """Return the exception for an error of Mistral."""
        error = body if isinstance(body, dict) else {}
        if isinstance(error.get("error"), dict):
            error = error["error"]
        code, message = str(error.get("code") or ""), error.get("message")
        category = (
            ModelContextWindowExceededError
            if code == _CONTEXT_EXCEEDED
            else _model_errors.http_status_category(status, message)
        )
        return ModelHTTPError.for_category(
            category,
            status_code=status,
            model_name=self._name,
            body=body,
            headers=headers,
            provider_error_code=code or error.get("type"),
            in_stream=headers is None,
        )

    def stream_of(
        self, response: httpx2.Response, parameters: ModelRequestParameters
    ) -> "MistralStream":
        """Return the stream of a successful response."""
        return MistralStream(parameters, self, response)


@dataclass
class MistralStream(NativeStream):
    """The streamed response of Mistral."""

    # By index: the id of the newest call, and of its part.
    _calls: dict[int, tuple[str, int]] = field(default_factory=dict, init=False)

    def events_of(self, data: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of one chunk. Raise ModelHTTPError for an error in the stream."""
        choices = data.get("choices") or []
        if data.get("object") == "error" or (not choices and data.get("error")):
            status = data.get("raw_status_code") or data.get("status") or 500
            raise self._model.error(status if isinstance(status, int) else 500, data)
        self._reported_model = data.get("model") or self._reported_model
        self.provider_response_id = data.get("id") or self.provider_response_id
        if usage := data.get("usage"):
            self._add_usage(_usage(usage), reported=True, cumulative=True)
        for choice in choices[:1]:
            delta = choice.get("delta") or {}
            yield from self._events_of_content(delta.get("content"))
            for call in delta.get("tool_calls") or []:
                yield from self._events_of_call(call)
            if reason := choice.get("finish_reason"):
                self.finish(str(reason), _FINISH_REASONS)

    def _events_of_content(
        self, content: str | Sequence[dict[str, Any]] | None
    ) -> Iterator[ModelResponseStreamEvent]:
        chunks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        for chunk in chunks:
            if chunk.get("type") == "thinking":
                thinking = chunk.get("thinking") or []
                pieces = (
                    [thinking]
                    if isinstance(thinking, str)
                    else [own.get("text") or "" for own in thinking]
                )
                signature = chunk.get("signature") or None
                yield from self._parts_manager.handle_thinking_delta(
                    vendor_part_id=self.part_id("thinking"),
                    content="".join(pieces),
                    signature=signature,
                    provider_name="mistral",
                )
            elif text := chunk.get("text"):
                yield from self._parts_manager.handle_text_delta(
                    vendor_part_id=self.part_id("text"), content=text
                )

    def _events_of_call(self, call: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of a piece of a call. Another id under an index is another call."""
        function = call.get("function") or {}
        call_id = call.get("id") if call.get("id") != "null" else ""
        index = call.get("index") or 0
        known_id, part_id = self._calls.get(index, ("", 0))
        is_new = not part_id or bool(call_id and call_id != known_id)
        if is_new:
            part_id = self.part_id("call", is_signed=True)
            self._calls[index] = (call_id or "", part_id)
        yield from self._parts_manager.handle_tool_call_delta_events(
            vendor_part_id=part_id,
            tool_name=(function.get("name") or None) if is_new else None,
            args=function.get("arguments") or "",
            tool_call_id=call_id or None,
        )


def _usage(usage: Mapping[str, Any]) -> RequestUsage:
    """Return the tokens. Mistral has had several names for cached tokens."""
    details = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
    return RequestUsage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cache_read_tokens=details.get("cached_tokens") or usage.get("num_cached_tokens") or 0,
    )
