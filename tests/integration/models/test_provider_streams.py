"""Test concurrent, slow and abandoned streams of providers, over real HTTP."""

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import (
    Model,
    ModelEvent,
    ModelRequest,
    ResponseDelta,
    UserMessage,
)
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.domain.errors import ModelUnavailableError
from tests.support.servers.bedrock_server import BedrockServer, ConverseResponse
from tests.support.servers.loopback import Received
from tests.support.servers.model_requests import REQUEST, events_of, response_of
from tests.support.servers.openai_server import ChatResponse, OpenAIServer


def model_at(server: OpenAIServer, **fields: Any) -> ProviderModel:
    """Return the model of a route to the server."""
    return ProviderModel(Route(model="openai:some-model", base_url=server.base_url, **fields))


def test_a_delta_is_forwarded_before_the_next_is_sent() -> None:
    with OpenAIServer(ChatResponse(text=["a", "b"], pause=0.3)) as server:
        model = model_at(server)

        async def arrivals() -> list[float]:
            return [time.monotonic() async for _ in model.stream(REQUEST)]

        first, second, *_ = asyncio.run(arrivals())
    assert second - first > 0.2


def test_threads_with_separate_event_loops_share_a_model() -> None:
    def echo(received: Received) -> ChatResponse:
        word = received.json["messages"][-1]["content"]
        return ChatResponse(text=[word, "!"], pause=0.005)

    with OpenAIServer(choose=echo) as server:
        model = model_at(server)

        def ask(number: int) -> str:
            request = ModelRequest("Echo.", [UserMessage(f"word-{number}")])
            return response_of(model, request).message.content

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, range(40)))
    assert answers == [f"word-{number}!" for number in range(40)]


def test_concurrent_requests_in_one_event_loop() -> None:
    def echo(received: Received) -> ChatResponse:
        return ChatResponse(text=[received.json["messages"][-1]["content"]], pause=0.02)

    async def ask(model: ProviderModel, word: str) -> list[ModelEvent]:
        request = ModelRequest("Echo.", [UserMessage(word)])
        return [event async for event in model.stream(request)]

    async def ask_all(model: ProviderModel) -> list[list[ModelEvent]]:
        return await asyncio.gather(*(ask(model, f"word-{n}") for n in range(10)))

    with OpenAIServer(choose=echo) as server:
        answers = asyncio.run(ask_all(model_at(server)))
    assert [events[0] for events in answers] == [ResponseDelta(f"word-{n}") for n in range(10)]


def test_a_slow_response_times_out() -> None:
    with OpenAIServer(ChatResponse(text=["a"] * 100, pause=0.3)) as server:
        started = time.monotonic()
        with pytest.raises(ModelUnavailableError, match="timeout"):
            events_of(model_at(server, timeout=0.5))
        assert time.monotonic() - started < 20  # the whole response takes 30 seconds


def read_one_event(model: Model) -> float:
    """Return the seconds to read one event and abandon the stream."""

    async def read() -> None:
        async for _ in model.stream(REQUEST):
            break

    started = time.monotonic()
    asyncio.run(read())
    gc.collect()  # reports resources that are still open
    return time.monotonic() - started


def test_a_stream_without_a_reader_is_closed() -> None:
    with OpenAIServer(ChatResponse(text=["a"] * 1000, pause=0.03)) as server:
        assert read_one_event(model_at(server)) < 20  # the whole response takes 30 seconds


def test_a_bedrock_stream_without_a_reader_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")
    with BedrockServer(ConverseResponse(text=["a"] * 1000, pause=0.03)) as server:
        route = Route(model="bedrock:some-model", base_url=server.url, region="eu-central-1")
        assert read_one_event(ProviderModel(route)) < 20  # the whole response takes 30 seconds
