"""A provider's model: one streamed request per step, by pydantic-ai's direct interface.

`requests.py` and `messages.py` translate, `clients.py` connects, and `errors.py` says what a
failure means. Only this package imports pydantic-ai.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from genai_prices import calc_price
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import ContentFilterError, ModelConnectionError
from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ThinkingPart
from pydantic_ai.usage import RequestUsage

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelEvent, ModelRequest, Response, TokenUsage
from runyard_service.agents.models.pricing import price_by_route
from runyard_service.agents.models.providers.clients import open_model
from runyard_service.agents.models.providers.compatibility.surrogates import SurrogateJoiner
from runyard_service.agents.models.providers.compatibility.think_tags import split_at_closing_tag
from runyard_service.agents.models.providers.errors import PROVIDER_ERRORS, translate_error
from runyard_service.agents.models.providers.messages import (
    has_torn_call,
    to_assistant_message,
    to_delta,
)
from runyard_service.agents.models.providers.requests import to_messages, to_parameters
from runyard_service.agents.models.providers.returned_responses import MESSAGE_FIELDS
from runyard_service.agents.models.providers.settings import (
    longest_response,
    request_settings,
    secrets_of,
)
from runyard_service.agents.models.providers.usage import counted_usage, token_usage
from runyard_service.agents.models.token_bounds import max_usage
from runyard_service.domain.costs import rounded
from runyard_service.domain.errors import GuardrailIntervenedError

# These write to a cache only if a request asks for it.
_ASKED_TO_CACHE = frozenset({"anthropic", "bedrock"})


class ProviderModel:
    """A model of a provider, or of any server that speaks the API of one.

    Holds no connection, so one instance may serve several threads and event loops at once.
    """

    def __init__(
        self,
        route: Route,
        api_key: str | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._route = route
        self._api_key = api_key
        self._variables = variables

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream the deltas of one response, then the complete response.

        Raise the errors of `Model.stream`. The provider's exception is not chained: its text may
        quote the prompt or the key, and a traceback would log it.
        """
        # The connection lives in a task of its own, which alone may close it: a generator that is
        # left unfinished is closed by the event loop, in whatever task that happens to be.
        events: asyncio.Queue[ModelEvent | None] = asyncio.Queue()
        reader = asyncio.create_task(self._read(request, events))
        try:
            while (event := await events.get()) is not None:
                yield event
            await reader
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return an upper bound: bytes for text that the provider has not counted yet.

        All input counts as written to the cache where that costs more.
        """
        longest = longest_response(self._route, request)
        most = max_usage(replace(request, max_output_tokens=longest))
        written = replace(
            most,
            cache_write_tokens=most.input_tokens,
            long_cache_write_tokens=most.input_tokens if request.settings.cache == "1h" else 0,
        )
        if request.settings.cache == "off" and self._route.provider in _ASKED_TO_CACHE:
            return most
        price, price_written = self.cost_of(most), self.cost_of(written)
        if price is None or price_written is None:
            return most
        return written if price_written > price else most

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """By the route's own prices, or else the price table's for the model that it names."""
        price = price_by_route(self._route, usage)
        if price is not None:
            return price
        counted = RequestUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.long_cache_write_tokens,
        )
        return self._listed_price(
            ModelResponse(
                parts=[],
                usage=counted,
                model_name=self._route.model_name,
                provider_name=self._route.provider,
            )
        )

    async def _read(
        self, request: ModelRequest, events: "asyncio.Queue[ModelEvent | None]"
    ) -> None:
        """Queue the provider's events in `events`, then None."""
        messages = to_messages(request, self._route.api, self._route.provider)
        parameters = to_parameters(request)
        try:
            settings = request_settings(self._route, request, self._variables)
            async with (
                open_model(self._route, self._api_key) as model,
                model_request_stream(
                    model,
                    messages,
                    model_settings=settings,
                    model_request_parameters=parameters,
                ) as stream,
            ):
                joiner = SurrogateJoiner()
                async for event in stream:
                    for delta in joiner.feed(to_delta(event)):
                        events.put_nowait(delta)
                for delta in joiner.flush():
                    events.put_nowait(delta)
                response = stream.get()
            _check_whole(response)
            events.put_nowait(self._response(response))
        except PROVIDER_ERRORS as error:
            secrets = list(secrets_of(self._route, self._variables))
            secrets += [self._api_key] if self._api_key else []
            raise translate_error(error, secrets) from None
        finally:
            events.put_nowait(None)

    def _response(self, response: ModelResponse) -> Response:
        usage = counted_usage(response)
        parts = response.parts
        if self._route.api == "openai-chat" and self._route.think_tags != "off":
            parts = _with_reasoning_before_a_closing_tag(parts)
        details = response.provider_details or {}
        return Response(
            message=to_assistant_message(parts, details.get(MESSAGE_FIELDS)),
            usage=usage,
            cost_usd=None if usage is None else self._cost(response, usage),
            model=response.model_name or self._route.model_name,
            is_truncated=_is_truncated(response),
            finish_reason=str(details.get("finish_reason") or ""),
        )

    def _cost(self, response: ModelResponse, usage: TokenUsage) -> Decimal | None:
        """Return the price of the response; None if no price is known.

        The route's own prices have priority. The price table also knows prices of other tokens,
        such as those of audio.
        """
        if token_usage(response.usage, apart=0) != usage:
            return self.cost_of(usage)
        price = price_by_route(self._route, usage)
        return self._listed_price(response) if price is None else price

    def _listed_price(self, response: ModelResponse) -> Decimal | None:
        try:
            if self._route.base_url is None or self._route.provider == "bedrock":
                return rounded(response.cost().total_price)
            # At another address the same model's name says nothing about its price.
            price = calc_price(
                response.usage,
                response.model_name or self._route.model_name,
                provider_api_url=self._route.base_url,
                genai_request_timestamp=response.timestamp,
            )
            return rounded(price.total_price)
        except (LookupError, ValueError):
            return None


def _with_reasoning_before_a_closing_tag(
    parts: Sequence[ModelResponsePart],
) -> Sequence[ModelResponsePart]:
    """Return the parts, with text that only a closing tag ends as reasoning."""
    found: list[ModelResponsePart] = []
    for part in parts:
        halves = split_at_closing_tag(part.content) if isinstance(part, TextPart) else None
        if halves is None:
            found.append(part)
            continue
        found.append(ThinkingPart(halves[0], id="content", provider_name="openai"))
        if halves[1]:
            found.append(TextPart(halves[1]))
    return found


# As the providers say it; some servers use another provider's words.
_LENGTH_REASONS = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)


def _is_truncated(response: ModelResponse) -> bool:
    """Return whether the response was cut off before the model was done.

    vLLM says `tool_calls` also where a call was cut off: only its torn arguments show it.
    """
    reason = str((response.provider_details or {}).get("finish_reason")).lower()
    is_truncated = response.finish_reason == "length" or reason in _LENGTH_REASONS
    return is_truncated or has_torn_call(response.parts)


def _check_whole(response: ModelResponse) -> None:
    """Raise an error if the response was withheld or its stream ended without a stop reason.

    Raise GuardrailIntervenedError if a guardrail withheld it.

    pydantic-ai takes a stream without a stop reason for a finished one; to a journal it is half a
    response, because a cut connection may look like the end of the stream.
    """
    name = response.model_name or ""
    reason = (response.provider_details or {}).get("finish_reason")
    if reason == "guardrail_intervened":
        raise GuardrailIntervenedError from None
    if response.finish_reason == "content_filter":
        raise ContentFilterError("content filter")
    # Bedrock's model wrote an invalid call: that is no answer, and no broken connection.
    is_malformed = str(reason).startswith("malformed_")
    if not reason or (response.finish_reason == "error" and not is_malformed):
        raise ModelConnectionError(name, "the stream ended early", phase="read")
