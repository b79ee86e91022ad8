"""A model of pydantic-ai whose request is JSON, and whose response is a stream of JSON events."""

import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx2
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models._tool_choice import resolve_tool_choice
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json


class NativeModel(Model[Any]):
    """Send one request, and stream its response. Subclasses translate both.

    `base_url` has the version of the API; None is the provider's own address, `default_url`.
    `has_reasoning` means that the route asks for reasoning, also of a model that pydantic-ai does
    not know.
    """

    default_url: ClassVar[str]

    def __init__(
        self,
        name: str,
        key: str,
        base_url: str | None,
        http: httpx2.AsyncClient,
        *,
        has_reasoning: bool = False,
    ) -> None:
        profile = self.profile_of(name)
        if has_reasoning:
            profile = {**profile, "supports_thinking": True}
        super().__init__(profile=profile)
        self._name = name
        self._key = key
        self._base_url = (base_url or self.default_url).rstrip("/")
        self._http = http

    @staticmethod
    @abstractmethod
    def profile_of(name: str) -> ModelProfile:
        """Return what pydantic-ai knows of the model."""

    @property
    def model_name(self) -> str:
        """Return the model's name in the route."""
        return self._name

    @property
    def base_url(self) -> str:
        """Return the address of the API."""
        return self._base_url

    @property
    @abstractmethod
    def path(self) -> str:
        """Return the path of the request, after the base URL."""

    @property
    @abstractmethod
    def key_header(self) -> dict[str, str]:
        """Return the header with the API key."""

    @abstractmethod
    def body(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> dict[str, Any]:
        """Return the JSON of the request."""

    @abstractmethod
    def error(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> ModelHTTPError:
        """Return the exception for an error of the provider; without headers, one in the stream."""

    @abstractmethod
    def stream_of(
        self, response: httpx2.Response, parameters: ModelRequestParameters
    ) -> StreamedResponse:
        """Return the stream of a successful response."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the whole response of a streamed request."""
        async with self.request_stream(
            messages, model_settings, model_request_parameters
        ) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,  # noqa: ARG002 (of an agent of pydantic-ai; here is none)
    ) -> AsyncGenerator[StreamedResponse]:
        """Send the request; raise ModelHTTPError for an HTTP error."""
        prepared, parameters = self.prepare_request(model_settings, model_request_parameters)
        settings = prepared or ModelSettings()
        extra: Any = settings.get("extra_body")
        body = self.body(messages, settings, parameters)
        headers = httpx2.Headers({"content-type": "application/json", **self.key_header})
        headers.update(settings.get("extra_headers") or {})
        request = self._http.build_request(
            "POST",
            self._base_url + self.path,
            headers=headers,
            # Directly as bytes: a request with files has many megabytes.
            content=to_json({**body, **(extra if isinstance(extra, dict) else {})}),
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.status_code != 200:
                content = await response.aread()
                raise self.error(response.status_code, _json_or_text(content), response.headers)
            yield self.stream_of(response, parameters)
        finally:
            await response.aclose()


@dataclass
class NativeStream(StreamedResponse):
    """A stream of JSON events, which subclasses translate."""

    _model: NativeModel
    _response: httpx2.Response
    _timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    _usage_received: bool | None = field(default=False, init=False)
    _reported_model: str = field(default="", init=False)
    _kind: str = field(default="", init=False)
    _count: int = field(default=0, init=False)

    @abstractmethod
    def events_of(self, data: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of pydantic-ai for one event of the provider."""

    def part_id(self, kind: str, *, is_signed: bool = False) -> int:
        """Return the id of the part that a piece of this kind belongs to.

        A signed piece is a part of its own: its signature is valid for this text only.
        """
        if is_signed or kind != self._kind:
            self._count += 1
        self._kind = "" if is_signed else kind
        return self._count

    def finish(self, reason: str, reasons: Mapping[str, Any]) -> None:
        """Record the finish reason, and pydantic-ai's word for it if `reasons` has one."""
        self.provider_details = {**(self.provider_details or {}), "finish_reason": reason}
        self.finish_reason = reasons.get(reason)

    async def close_stream(self) -> None:
        """Close the connection."""
        await self._response.aclose()

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for data in _json_events(self._response):
            for event in self.events_of(data):
                yield event

    @property
    def model_name(self) -> str:
        """Return the model as the provider reports it, else as the route names it."""
        return self._reported_model or self._model.model_name

    @property
    def provider_name(self) -> str:
        """Return the provider."""
        return self._model.system

    @property
    def provider_url(self) -> str:
        """Return the address of the API."""
        return self._model.base_url

    @property
    def timestamp(self) -> datetime:
        """Return the time of the response."""
        return self._timestamp


def chosen_tools(
    settings: ModelSettings, parameters: ModelRequestParameters
) -> tuple[list[ToolDefinition], str, list[str]]:
    """Return the tools, the choice (`auto`, `none` or `required`), and its names.

    Without names, all tools may be called.
    """
    tools = list(parameters.declared_tool_defs.values())
    choice = resolve_tool_choice(settings, parameters)
    if isinstance(choice, str):
        return tools, choice, []
    mode, names = choice
    if mode == "required":
        return tools, mode, sorted(names)
    return [tool for tool in tools if tool.name in names], mode, []


async def _json_events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the data of each event. Raise ValueError for data that is not a JSON object."""
    pending = b""
    async for piece in response.aiter_bytes():
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            if (data := _data_of(line)) is not None:
                yield data
    if (data := _data_of(pending)) is not None:
        yield data


def _data_of(line: bytes) -> dict[str, Any] | None:
    name, _, value = line.partition(b":")
    if name != b"data" or value.strip() == b"[DONE]":
        return None
    data = json.loads(value)
    if not isinstance(data, dict):
        raise ValueError("an event that is not a JSON object")
    return data


def _json_or_text(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
