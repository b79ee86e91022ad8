"""The connection to a provider, opened for one request and closed after it.

An httpx2 client belongs to the event loop of its first use, and an idle connection does not survive
a frozen Lambda function. So httpx2 clients are never shared: a new client per step costs one TLS
handshake, compared with seconds of model time. The boto3 client is thread-safe and slow to create,
so it is cached.
"""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
from pydantic_ai.models import Model

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.providers.compatibility.whole_responses import StreamingTransport
from runyard_service.domain.errors import DefinitionError
from runyard_service.outbound.tls import tls_context

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
# A server that asks for no key must still be sent one: the SDKs insist.
NO_KEY = "no-key"
CONNECT_SECONDS = 10.0
_PIECE_BYTES = 64 * 1024
# One process of the local stack runs many steps at once, each with a connection of its own.
BEDROCK_CONNECTIONS = 100


@asynccontextmanager
async def open_model(route: Route, api_key: str | None) -> AsyncIterator[Model]:
    """The route's model, ready for one request.

    Only the provider that is asked for is imported: Anthropic's SDK alone is over a second.
    """
    match route.api:
        case "openai-chat" | "openai-responses":
            async with _http_client(route) as http:
                yield _openai(route, _key(route, api_key), http)
        case "anthropic":
            async with _http_client(route) as http:
                yield _anthropic(route, _key(route, api_key), http)
        case "bedrock":
            if api_key is not None:
                raise DefinitionError(
                    "A bedrock route takes no key: the role's credentials are used."
                )
            yield _bedrock(route)
        case "google" | "mistral":
            async with _http_client(route) as http:
                yield _native(route, _key(route, api_key), http)
        case _:
            raise DefinitionError(f"There is no provider named {route.provider!r}.")


# Their SDKs are too large for the function, so this service has models of its own.
_NATIVE = "runyard_service.agents.models.providers.native"


def preload(providers: Iterable[str]) -> None:
    """Import what these providers are asked with: a second's work, three with Anthropic's."""
    for provider in providers:
        package = _NATIVE if provider in ("google", "mistral") else "pydantic_ai.models"
        import_module(f"{package}.{provider}")
    tls_context()


def _key(route: Route, api_key: str | None) -> str:
    """The key to send. One from the environment is never sent to an address of the route's own."""
    if api_key:
        return api_key
    if route.base_url is None:
        raise DefinitionError(f"The route to {route.model!r} needs an API key.")
    return NO_KEY


def _http_client(route: Route) -> httpx2.AsyncClient:
    timeout = httpx2.Timeout(route.timeout, connect=min(CONNECT_SECONDS, route.timeout))
    return httpx2.AsyncClient(
        timeout=timeout,
        transport=StreamingTransport(httpx2.AsyncHTTPTransport(verify=tls_context())),
        event_hooks={"request": [_send_chunked]},
    )


async def _send_chunked(request: httpx2.Request) -> None:
    """Not as a whole: TLS would hold all of it once more, and with files it has many megabytes."""
    request.stream = _Pieces(request.content)


class _Pieces(httpx2.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), _PIECE_BYTES):
            yield self._content[start : start + _PIECE_BYTES]


def _openai(route: Route, key: str, http: httpx2.AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    from runyard_service.agents.models.providers.compatibility.chat_stream import (
        CompatibleChatModel,
    )

    url = route.base_url or OPENAI_URL
    client = AsyncOpenAI(
        api_key=key, base_url=url, max_retries=0, timeout=http.timeout, http_client=http
    )
    if route.api == "openai-responses":
        from runyard_service.agents.models.providers.responses import responses_model

        return responses_model(route, client)
    profile = OpenAIModelProfile(
        # OpenAI's own word; most other servers know `max_tokens` only.
        openai_chat_supports_max_completion_tokens=_takes_max_completion_tokens(route, url),
        # The schema is sent unchanged: the default closes every free object, so
        # that nothing but `{}` would fit it, and asks for `strict`, which other servers reject.
        json_schema_transformer=None,
        openai_supports_strict_tool_definition=False,
        # Files are data URIs already, and go out as they are; none is ever another address.
        openai_chat_supports_file_urls=True,
        # Whether the server takes a schema, its agent says: `output_mode`.
        supports_json_schema_output=True,
    )
    if route.reasoning is not None and not _is_openai(url):
        # A model of another server, of which nothing is known: its route says that it can.
        profile["supports_thinking"] = True
    model = CompatibleChatModel(
        route.model_name, provider=OpenAIProvider(openai_client=client), profile=profile
    )
    model.think_tags = route.think_tags
    model.takes_stream_options = route.stream_options
    model.adds_usage = route.stream_usage == "increments"
    return model


def _takes_max_completion_tokens(route: Route, url: str) -> bool:
    if route.max_tokens_field is not None:
        return route.max_tokens_field == "max_completion_tokens"
    host = urlsplit(url).hostname or ""
    is_azure = host.endswith((".services.ai.azure.com", ".cognitiveservices.azure.com"))
    # Below /openai, Azure serves OpenAI's models; below /models, those of others too.
    return _is_openai(url) or (is_azure and "/openai" in urlsplit(url).path)


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))


def _anthropic(route: Route, key: str, http: httpx2.AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(
        api_key=key,
        base_url=route.base_url or ANTHROPIC_URL,
        max_retries=0,
        timeout=http.timeout,
        http_client=http,
    )
    return AnthropicModel(route.model_name, provider=AnthropicProvider(anthropic_client=client))


def _native(route: Route, key: str, http: httpx2.AsyncClient) -> Model:
    # A route that sets `reasoning` says that its model can reason, also one that is not known here.
    has_reasoning = route.reasoning is not None
    if route.api == "google":
        from runyard_service.agents.models.providers.native.google import GoogleModel

        return GoogleModel(route.model_name, key, route.base_url, http, has_reasoning=has_reasoning)
    from runyard_service.agents.models.providers.native.mistral import MistralModel

    return MistralModel(route.model_name, key, route.base_url, http, has_reasoning=has_reasoning)


def _bedrock(route: Route) -> Model:
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    # Lambda names the region AWS_REGION, which botocore does not read.
    region = route.region or os.environ.get("AWS_REGION")
    client = _bedrock_client(region, route.base_url, route.timeout)
    return BedrockConverseModel(route.model_name, provider=BedrockProvider(bedrock_client=client))


@lru_cache(maxsize=16)
def _bedrock_client(
    region: str | None, endpoint_url: str | None, timeout: float
) -> "BedrockRuntimeClient":
    """One client per address and timeout, with no retries of its own: the engine retries.

    Without `endpoint_url` botocore follows AWS_ENDPOINT_URL_BEDROCK_RUNTIME.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=min(CONNECT_SECONDS, timeout),
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=BEDROCK_CONNECTIONS,
    )
    # A session of its own: boto3's default one must not be used by several threads at once.
    session = boto3.session.Session(region_name=region)
    return session.client("bedrock-runtime", endpoint_url=endpoint_url, config=config)
