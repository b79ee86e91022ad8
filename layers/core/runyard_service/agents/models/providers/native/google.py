"""Google's Gemini API: `streamGenerateContent`.

Gemini signs parts, and rejects a history in which a signature is missing or is at another part. So
each signature stays with its part, also with an empty text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2
from pydantic_ai import _model_errors
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponseStreamEvent
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.google import google_model_profile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from runyard_service.agents.models.providers.native.base import (
    NativeModel,
    NativeStream,
    chosen_tools,
)
from runyard_service.agents.models.providers.native.google_contents import SIGNATURE, to_contents
from runyard_service.agents.models.providers.native.google_thinking import thinking_config

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"
    ),
}
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_SERVICE_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
# Gemini's names of the settings that it takes as they are.
_GENERATION = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "stop_sequences": "stopSequences",
    "seed": "seed",
}


class GoogleModel(NativeModel):
    """A model of the Gemini API, or of another address with the same API."""

    default_url = "https://generativelanguage.googleapis.com/v1beta"

    @staticmethod
    def profile_of(name: str) -> ModelProfile:
        """Return what pydantic-ai knows of the model."""
        return google_model_profile(name) or {}

    @property
    def system(self) -> str:
        """Return the name of the provider."""
        return "google"

    @property
    def path(self) -> str:
        """Return the path; a name such as `tunedModels/x` has its collection."""
        name = self._name if "/" in self._name else f"models/{self._name}"
        return f"/{quote(name)}:streamGenerateContent?alt=sse"

    @property
    def key_header(self) -> dict[str, str]:
        """Return the key in a header: in the address, logs would have it."""
        return {"x-goog-api-key": self._key}

    def body(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> dict[str, Any]:
        """Return the body of the request."""
        body: dict[str, Any] = {"contents": to_contents(messages)}
        instructions = self._get_instruction_parts(messages, parameters) or []
        if instructions:
            body["systemInstruction"] = {"parts": [{"text": own.content} for own in instructions]}
        tools, choice, names = chosen_tools(settings, parameters)
        if tools:
            body["tools"] = [
                {
                    "functionDeclarations": [
                        {
                            "name": tool.name,
                            "description": tool.description or "",
                            "parametersJsonSchema": tool.parameters_json_schema,
                        }
                        for tool in tools
                    ]
                }
            ]
            calling: dict[str, Any] = {"mode": _CHOICES[choice]}
            if names:
                calling["allowedFunctionNames"] = names
            body["toolConfig"] = {"functionCallingConfig": calling}
        if generation := self._generation(settings, parameters):
            body["generationConfig"] = generation
        if tier := _SERVICE_TIERS.get(settings.get("service_tier") or ""):
            body["serviceTier"] = tier
        return body

    def _generation(
        self, settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        values: Mapping[str, Any] = settings
        generation = {
            own: values[name] for name, own in _GENERATION.items() if values.get(name) is not None
        }
        if own := values.get("google_thinking_config"):
            tokens = own["thinking_budget"]
            generation["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": tokens}
        elif config := thinking_config(self.profile, parameters):
            generation["thinkingConfig"] = config
        if parameters.output_mode == "native" and parameters.output_object is not None:
            generation["responseMimeType"] = "application/json"
            generation["responseJsonSchema"] = parameters.output_object.json_schema
        return generation

    def error(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> ModelHTTPError:
        """Return the exception with the seconds to wait, which Google sends in the body."""
        found = body[0] if isinstance(body, list) and body else body
        error = found.get("error") if isinstance(found, dict) else None
        error = error if isinstance(error, dict) else {}
        code, message = error.get("status"), error.get("message")
        category = _model_errors.google_status_category(code, message, found)
        raised = ModelHTTPError.for_category(
            category or _model_errors.http_status_category(status, message),
            status_code=status,
            model_name=self._name,
            body=found,
            headers=headers,
            provider_error_code=code if isinstance(code, str) else None,
            in_stream=headers is None,
        )
        raised.retry_after = _model_errors.google_retry_after(raised)
        return raised

    def stream_of(
        self, response: httpx2.Response, parameters: ModelRequestParameters
    ) -> "GoogleStream":
        """Return the stream of a successful response."""
        return GoogleStream(parameters, self, response)


@dataclass
class GoogleStream(NativeStream):
    """The streamed response of Gemini."""

    _tokens: dict[str, int] = field(default_factory=dict, init=False)

    def events_of(self, data: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of one `GenerateContentResponse`. Raise ModelHTTPError for an error."""
        if isinstance(error := data.get("error"), dict):
            raise self._model.error(int(error.get("code") or 500), data)
        self._reported_model = data.get("modelVersion") or self._reported_model
        self.provider_response_id = data.get("responseId") or self.provider_response_id
        self._count_tokens(data.get("usageMetadata") or {})
        if reason := (data.get("promptFeedback") or {}).get("blockReason"):
            self.finish(str(reason), {reason: "content_filter"})
        for candidate in (data.get("candidates") or [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                yield from self._events_of_part(part)
            if reason := candidate.get("finishReason"):
                self.finish(str(reason), _FINISH_REASONS)

    def _events_of_part(self, part: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        signature = part.get("thoughtSignature")
        own: dict[str, Any] = {}
        if signature:
            own = {"provider_name": "google", "provider_details": {SIGNATURE: signature}}
        if call := part.get("functionCall"):
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id=self.part_id("call", is_signed=True),
                tool_name=call.get("name") or "",
                args=call.get("args") or {},
                tool_call_id=call.get("id") or None,
                **own,
            )
        elif (text := part.get("text")) or (text is not None and signature):
            is_thought = bool(part.get("thought"))
            part_id = self.part_id("thought" if is_thought else "text", is_signed=bool(signature))
            handle = (
                self._parts_manager.handle_thinking_delta
                if is_thought
                else self._parts_manager.handle_text_delta
            )
            yield from handle(vendor_part_id=part_id, content=text, **own)

    def _count_tokens(self, usage: dict[str, Any]) -> None:
        """Record the counts so far: each event repeats them, and some omit a count."""
        counts = {name: count for name, count in usage.items() if isinstance(count, int)}
        self._tokens |= {
            name: max(count, self._tokens.get(name, 0)) for name, count in counts.items()
        }
        count = self._tokens.get
        self._add_usage(
            RequestUsage(
                input_tokens=count("promptTokenCount", 0) + count("toolUsePromptTokenCount", 0),
                output_tokens=count("candidatesTokenCount", 0) + count("thoughtsTokenCount", 0),
                cache_read_tokens=count("cachedContentTokenCount", 0),
            ),
            reported=bool(counts),
            cumulative=True,
        )
