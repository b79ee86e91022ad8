"""Test servers that deviate from the protocol that they claim to speak, byte by byte."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import (
    ReasoningDelta,
    Response,
    ResponseDelta,
    Thinking,
    TokenUsage,
)
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.agents.models.providers.words import words_of
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.domain.provider_failures import ProviderFailure
from tests.support.servers import model_server
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    ConverseUsage,
)
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.model_requests import parts_of, response_of


def thoughts_of(response: Response) -> list[Thinking]:
    """Return the reasoning of a response."""
    return [part for part in response.message.parts if isinstance(part, Thinking)]


EMOJI = "\N{GRINNING FACE}"
HALVES = ("\ud83d", "\ude00")


@contextmanager
def replay(body: str, content_type: str = "text/event-stream") -> Iterator[LoopbackServer]:
    """Run a server that answers each request with these bytes."""

    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send(200, body.encode(), {"content-type": content_type})

    with LoopbackServer(answer) as server:
        yield server


def chat(*chunks: object) -> str:
    """Return the body of a stream of chat completion chunks."""
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*events, "data: [DONE]\n\n"])


def delta(reason: str | None = None, usage: object = None, **fields: Any) -> dict[str, Any]:
    """Return one chunk with this delta."""
    chunk = {"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}
    return chunk if usage is None else {**chunk, "usage": usage}


def usage_of(prompt: int | None, completion: int | None, **more: Any) -> dict[str, Any]:
    """Return the usage of a chunk."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def last(usage: object) -> dict[str, Any]:
    """Return the last chunk, which only has usage."""
    return {"choices": [], "usage": usage}


COUNTED = usage_of(100, 10, total_tokens=110)


def openai_at(server: LoopbackServer, **fields: Any) -> ProviderModel:
    """Return the model of a route to the server."""
    prices = {
        "input_usd_per_million": 3,
        "output_usd_per_million": 15,
        "cached_input_usd_per_million": "0.3",
    }
    route = {"model": "openai:some-model", "base_url": f"{server.url}/v1", **prices, **fields}
    return ProviderModel(Route.model_validate(route))


def chat_response(*chunks: object, **fields: Any) -> Response:
    """Return the response to a request whose answer is these chunks."""
    with replay(chat(*chunks)) as server:
        return response_of(openai_at(server, **fields))


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (usage_of(100, 10, total_tokens=110), TokenUsage(100, 10)),
        (usage_of(100, 10, prompt_tokens_details={"cached_tokens": 60}), TokenUsage(100, 10, 60)),
        (usage_of(100, 10, prompt_cache_hit_tokens=60), TokenUsage(100, 10, 60)),
        # More cached tokens than prompt tokens: the gateway counts them apart.
        (
            usage_of(100, 10, total_tokens=110, prompt_tokens_details={"cached_tokens": 5000}),
            TokenUsage(5100, 10, 5000),
        ),
        # The total shows that the cached tokens are not part of the prompt tokens.
        (
            usage_of(100, 10, total_tokens=170, cache_read_input_tokens=60),
            TokenUsage(160, 10, 60),
        ),
        (
            usage_of(
                *(100, 10),
                total_tokens=200,
                cache_read_input_tokens=60,
                cache_creation_input_tokens=30,
            ),
            TokenUsage(190, 10, 60, 30),
        ),
        (
            usage_of(
                100, 10, prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 30}
            ),
            TokenUsage(100, 10, 60, 30),
        ),
        (usage_of(100, 10, prompt_tokens_details={"cached_tokens": -5}), TokenUsage(100, 10)),
        (usage_of(100, 10, prompt_tokens_details={"cached_tokens": None}), TokenUsage(100, 10)),
    ],
)
def test_cached_tokens_are_part_of_the_input(usage: object, counted: TokenUsage) -> None:
    response = chat_response(delta(content="hi"), delta("stop"), last(usage))
    assert response.usage == counted
    uncached = counted.input_tokens - counted.cached_input_tokens
    cost = Decimal(uncached * 3 + counted.output_tokens * 15) + Decimal("0.3") * (
        counted.cached_input_tokens
    )
    assert response.cost_usd == cost / 1_000_000


@pytest.mark.parametrize(
    "usage",
    [
        *(usage_of(None, None), usage_of(100, None), usage_of(None, 10), usage_of(-100, 10)),
        *(usage_of(100, -10), usage_of(0, 0), {"total_tokens": 110}, {}),
    ],
)
def test_counts_that_are_missing_are_unknown(usage: object) -> None:
    response = chat_response(delta(content="hi"), delta("stop"), last(usage))
    assert (response.usage, response.cost_usd) == (None, None)


def test_a_response_without_content_may_have_no_output_tokens() -> None:
    response = chat_response(delta("malformed_function_call"), last(usage_of(100, 0)))
    assert response.usage == TokenUsage(100, 0)


def test_usage_in_every_chunk_counts_once() -> None:
    response = chat_response(
        delta(content="a", usage=usage_of(1000, 1, total_tokens=1001)),
        delta(content="b", usage=usage_of(1000, 2, total_tokens=1002)),
        delta("stop", content="c", usage=usage_of(1000, 3, total_tokens=1003)),
        last(usage_of(1000, 3, total_tokens=1003)),
    )
    assert response.usage == TokenUsage(1000, 3)


def test_usage_that_ends_with_an_empty_count_uses_the_largest() -> None:
    response = chat_response(
        delta(content="a", usage=usage_of(1000, 2)), delta("stop"), last(usage_of(0, 0))
    )
    assert response.usage == TokenUsage(1000, 2)


def call(
    arguments: str, name: str | None = None, call_id: str | None = None, index: int = 0
) -> dict[str, Any]:
    """Return a chunk with a delta of a tool call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    fields: dict[str, Any] = {"index": index, "type": "function", "function": function}
    return delta(tool_calls=[fields if call_id is None else {**fields, "id": call_id}])


A, B = '{"path": "a"}', '{"path": "b"}'
CALLS = [
    [call(A, "write", "call_a"), call(B, "write", "call_b")],
    [call("", "write", "call_a"), call(A), call("", "write", "call_b"), call(B)],
    # The name and the id are sent again with each delta.
    [
        *(call(A[:5], "write", "call_a"), call(A[5:], "write", "call_a")),
        *(call(B[:5], "write", "call_b", 1), call(B[5:], "write", "call_b", 1)),
    ],
    # A random id in each delta.
    [
        call("", "write", "x1"),
        call(A, None, "x2"),
        call("", "write", "x3", 1),
        call(B, None, "", 1),
    ],
    # No ids at all.
    [call(A, "write"), call(B, "write")],
    [call(A, "write", ""), call(B, "write", "")],
]


@pytest.mark.parametrize("chunks", CALLS)
def test_calls_under_one_index_are_separate(chunks: list[Any]) -> None:
    response = chat_response(*chunks, delta("tool_calls"), last(COUNTED))
    calls = [(called.name, called.input) for called in response.message.tool_calls]
    assert calls == [("write", {"path": "a"}), ("write", {"path": "b"})]


def test_a_name_may_come_in_pieces() -> None:
    chunks = [call("", "write_", "call_a"), call(A, "file")]
    response = chat_response(*chunks, delta("tool_calls"), last(COUNTED))
    assert [called.name for called in response.message.tool_calls] == ["write_file"]


def cuts(text: str, size: int) -> list[dict[str, Any]]:
    """Return chunks of `size` characters each."""
    return [delta(content=text[at : at + size]) for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>\nplan</think>\n\nAnswer <b>", ["plan"], "Answer <b>"),
        ("<think></think>\n\nAnswer", [], "Answer"),
        ("<think>plan", ["plan"], ""),
        ("<think>a</think>Hm. <think>b < c</think>Answer", ["a", "b < c"], "Hm. Answer"),
        ("1 <thin 2 </ 3 <", [], "1 <thin 2 </ 3 <"),
    ],
)
def test_think_tags_are_found_wherever_they_are_cut(
    text: str, reasoning: list[str], answer: str, size: int
) -> None:
    with replay(chat(*cuts(text, size), delta("stop"), last(COUNTED))) as server:
        deltas, response = parts_of(openai_at(server))
    assert [part.content for part in thoughts_of(response) if part.content] == reasoning
    assert response.message.content == answer
    streamed = [event.delta for event in deltas if isinstance(event, ResponseDelta)]
    thoughts = [event.delta for event in deltas if isinstance(event, ReasoningDelta)]
    assert ("".join(thoughts), "".join(streamed)) == ("".join(reasoning), answer)


@pytest.mark.parametrize("size", [1, 5, 100])
def test_reasoning_without_an_opening_tag(size: int) -> None:
    chunks = [*cuts("plan</think>\n\nAnswer", size), delta("stop"), last(COUNTED)]
    with replay(chat(*chunks)) as server:
        response = response_of(openai_at(server))
        deltas, from_open = parts_of(openai_at(server, think_tags="open"))
        plain = response_of(openai_at(server, think_tags="off"))
    for found in (response, from_open):
        assert [part.content for part in thoughts_of(found)] == ["plan"]
        assert found.message.content == "Answer"
    thoughts = [event.delta for event in deltas if isinstance(event, ReasoningDelta)]
    assert "".join(thoughts) == "plan"
    assert plain.message.content == "plan</think>\n\nAnswer"


def test_think_tags_can_stay_in_the_text() -> None:
    text = "<think>plan</think>Answer"
    for size in (7, 100):
        chunks = [*cuts(text, size), delta("stop"), last(COUNTED)]
        assert chat_response(*chunks, think_tags="off").message.content == text


def test_a_tag_that_is_cut_by_a_call_is_text() -> None:
    chunks = [delta(content="a <thi"), call(A, "write", "call_a"), delta("tool_calls")]
    response = chat_response(*chunks, last(COUNTED))
    assert response.message.content == "a <thi"
    assert len(response.message.tool_calls) == 1


def anthropic_body(block: str, kind: str, field: str) -> str:
    """Return a stream of a message whose text is an emoji, cut into halves."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 10, "output_tokens": 1}
    start = {"type": block, **({"thinking": "", "signature": ""} if block == "thinking" else {})}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"text": "", **start}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: half}}
            for half in HALVES
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def anthropic_at(server: LoopbackServer) -> ProviderModel:
    """Return the model of a route to the server."""
    return ProviderModel(Route(model="anthropic:claude-haiku-4-5", base_url=server.url), "a-key")


def test_surrogate_pairs_are_joined_across_deltas() -> None:
    chunks = [
        *(delta(reasoning_content=half) for half in HALVES),
        *(delta(content=half) for half in HALVES),
        *(call('{"a": "' + HALVES[0], "write", "call_a"), call(HALVES[1] + '"}')),
    ]
    with replay(chat(*chunks, delta("tool_calls"), last(COUNTED))) as server:
        deltas, response = parts_of(openai_at(server))
    assert deltas == [ReasoningDelta(EMOJI), ResponseDelta(EMOJI)]
    assert response.message.content == EMOJI
    assert thoughts_of(response)[0].content == EMOJI
    assert response.message.tool_calls[0].input == {"a": EMOJI}


@pytest.mark.parametrize(
    ("block", "kind", "field", "expected"),
    [
        ("text", "text_delta", "text", ResponseDelta(EMOJI)),
        ("thinking", "thinking_delta", "thinking", ReasoningDelta(EMOJI)),
    ],
)
def test_surrogate_pairs_of_anthropic(block: str, kind: str, field: str, expected: object) -> None:
    with replay(anthropic_body(block, kind, field)) as server:
        deltas, _ = parts_of(anthropic_at(server))
    assert deltas == [expected]


@pytest.mark.usefixtures("bedrock_credentials")
def test_surrogate_pairs_of_bedrock() -> None:
    with BedrockServer(ConverseResponse(text=HALVES)) as server:
        deltas, response = parts_of(bedrock_at(server))
    assert deltas == [ResponseDelta(EMOJI)]
    assert response.message.content == EMOJI


def bedrock_at(server: BedrockServer) -> ProviderModel:
    """Return the model of a route to the server."""
    model = "bedrock:anthropic.claude-haiku-4-5-20251001-v1:0"
    return ProviderModel(Route(model=model, base_url=server.url, region="eu-central-1"))


@pytest.mark.filterwarnings("ignore:Failed to extract usage")
@pytest.mark.parametrize("usage", [ConverseUsage(-5, 5), ConverseUsage(0, 0), ConverseUsage(9, -1)])
@pytest.mark.usefixtures("bedrock_credentials")
def test_counts_of_bedrock_that_are_missing_are_unknown(usage: ConverseUsage) -> None:
    with BedrockServer(ConverseResponse(text=["a"], usage=usage)) as server:
        response = response_of(bedrock_at(server))
    assert (response.usage, response.cost_usd) == (None, None)


@pytest.mark.filterwarnings("ignore:Failed to extract usage")
@pytest.mark.parametrize(
    ("start", "end", "counted"),
    [
        ({"input_tokens": 10, "output_tokens": 1}, {"output_tokens": 5}, TokenUsage(10, 5)),
        ({"input_tokens": None, "output_tokens": None}, {"output_tokens": None}, None),
        ({"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 0}, None),
        ({"input_tokens": -1, "output_tokens": 1}, {"output_tokens": 5}, None),
        (
            {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 500},
            {"output_tokens": 5},
            TokenUsage(510, 5, 500),
        ),
    ],
)
def test_counts_of_anthropic(start: Any, end: Any, counted: TokenUsage | None) -> None:
    body = anthropic_body("text", "text_delta", "text")
    body = body.replace('"usage": {"input_tokens": 10, "output_tokens": 1}', _usage(start))
    body = body.replace('"usage": {"output_tokens": 5}', _usage(end))
    with replay(body) as server:
        assert response_of(anthropic_at(server)).usage == counted


def _usage(counts: object) -> str:
    return f'"usage": {json.dumps(counts)}'


def failure_of(model: ProviderModel) -> ModelRejectedError | ModelUnavailableError:
    """Return the error of a request."""
    with pytest.raises((ModelRejectedError, ModelUnavailableError)) as caught:
        response_of(model)
    assert isinstance(caught.value, ModelRejectedError | ModelUnavailableError)
    return caught.value


def error_body(**fields: object) -> str:
    """Return a stream that only has an error."""
    return chat({"error": fields})


CONTEXT, QUOTA = "longer than the model can take", "quota or credit"
CREDENTIALS = "does not accept the credentials"
FINAL_ERRORS = [
    (error_body(message="Context length exceeded", code="CONTEXT_LENGTH_EXCEEDED"), CONTEXT),
    (
        chat(
            {
                "choices": None,
                "error_type": "BadRequestError",
                "error_message": "This model's maximum context length is 32768 tokens.",
            }
        ),
        CONTEXT,
    ),
    (chat({"choices": None, "error_type": "BadRequestError", "error_message": "x"}), "rejected"),
    (error_body(message="quota exceeded"), QUOTA),
    (error_body(message="no", code=429, metadata={"raw": {"code": "Insufficient_Quota"}}), QUOTA),
    (error_body(message="Insufficient credits", code=402), QUOTA),
    (error_body(message="The API key is wrong", type="AuthenticationError"), CREDENTIALS),
    (error_body(message="Invalid API-Key provided", status="UNKNOWN"), CREDENTIALS),
    (error_body(message="bad tools", type="INVALID_ARGUMENT"), "rejected"),
    (error_body(message="no", code="Bad_Request"), "rejected"),
    (chat({"detail": "Prompt is too long"}), CONTEXT),
    (chat({"message": "Input is too long for requested model."}), CONTEXT),
]


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(("body", "words"), FINAL_ERRORS)
def test_a_final_error_in_a_successful_response_ends_at_once(
    body: str, words: str, is_json: bool
) -> None:
    kind = "text/event-stream"
    if is_json:
        kind, body = "application/json", body.removeprefix("data: ").partition("\n")[0]
    with replay(body, kind) as server:
        error = failure_of(openai_at(server))
    assert isinstance(error, ModelRejectedError)
    assert words in str(error)
    assert error.provider
    assert error.provider.message
    assert error.provider.message in body


@pytest.mark.parametrize(
    "body",
    [
        error_body(message="Rate limit reached", code="rate_limit_exceeded"),
        error_body(message="Quota exceeded for requests per minute", code=429),
        error_body(message="The model is overloaded", type="OVERLOADED_ERROR"),
        error_body(message="Something broke", code=500),
        chat({"choices": None, "error_type": "InternalServerError", "error_message": "broke"}),
        error_body(message="Something broke"),
    ],
)
def test_a_transient_error_in_a_successful_response_is_retryable(body: str) -> None:
    with replay(body) as server:
        error = failure_of(openai_at(server))
    assert isinstance(error, ModelUnavailableError)
    assert error.provider
    assert error.provider.message


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("text/event-stream", {"type": "invalid_request_error", "message": "Bad."}, "rejected"),
        (
            "application/json",
            {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
            CONTEXT,
        ),
        ("application/json", {"type": "authentication_error", "message": "no"}, CREDENTIALS),
        (
            "text/event-stream",
            {"type": "invalid_request_error", "message": "Your credit balance is too low"},
            QUOTA,
        ),
    ],
)
def test_a_final_error_of_anthropic_in_a_successful_response(
    kind: str, error: dict[str, str], words: str
) -> None:
    body = json.dumps({"type": "error", "error": error, "request_id": "req_1"})
    if kind == "text/event-stream":
        body = f"event: error\ndata: {body}\n\n"
    with replay(body, kind) as server:
        failure = failure_of(anthropic_at(server))
    assert isinstance(failure, ModelRejectedError)
    assert words in str(failure)
    assert failure.provider
    assert failure.provider.message == error["message"]


WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "some-model",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hi",
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "write", "arguments": A},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
}


def test_a_whole_completion_is_accepted() -> None:
    with replay(json.dumps(WHOLE), "application/json; charset=utf-8") as server:
        response = response_of(openai_at(server))
    assert response.message.content == "hi"
    assert [called.input for called in response.message.tool_calls] == [{"path": "a"}]
    assert response.usage == TokenUsage(100, 10)


def test_a_whole_message_of_anthropic_is_accepted() -> None:
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [
            {"type": "thinking", "thinking": "plan", "signature": "S1"},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "t", "name": "write", "input": {"path": "a"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    with replay(json.dumps(body), "application/json") as server:
        response = response_of(anthropic_at(server))
    assert response.message.content == "hi"
    assert thoughts_of(response)[0].signature == "S1"
    assert [called.input for called in response.message.tool_calls] == [{"path": "a"}]
    assert response.usage == TokenUsage(10, 5)


PAGE = "<!DOCTYPE html>\n<html><head><title>Access denied | Firewall</title></head></html>"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((200, ModelUnavailableError), (403, ModelRejectedError), (401, ModelRejectedError)),
        *((502, ModelUnavailableError), (404, ModelRejectedError)),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_an_html_page_is_the_word_of_a_proxy(
    provider: str, status: int, kind: type[Exception]
) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send(status, PAGE.encode(), {"content-type": "text/html"})

    with LoopbackServer(answer) as server:
        model = openai_at(server) if provider == "openai" else anthropic_at(server)
        error = failure_of(model)
    assert isinstance(error, kind)
    assert "A proxy or firewall answered with an HTML page" in str(error)
    assert "credentials" not in str(error)
    assert error.provider
    assert error.provider.message == "Access denied | Firewall"


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("Country not supported", "unsupported_country", "denied the request"),
        ("You are not authorized for this model", None, CREDENTIALS),
        ("No", "permission_denied", CREDENTIALS),
    ],
)
def test_a_403_is_about_credentials_only_if_the_provider_says_so(
    message: str, code: str | None, words: str
) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        body = {"error": {"message": message, "code": code}}
        exchange.send_json(403, body, {"x-request-id": "req-7"})

    with LoopbackServer(answer) as server:
        error = failure_of(openai_at(server))
    assert words in str(error)
    assert error.provider == ProviderFailure(403, code, message, "req-7")


SECRETS = [
    *(
        "a-secret-of-the-route",
        "sk-proj-abc123DEF456",
        "Bearer abc.def-123456",
        "sk-12***********cdef",
    ),
    *("AKIAIOSFODNN7EXAMPLE", "eyJhbGciOi.eyJzdWIi.c2ln", "api_key=hunter2", "user:pw@"),
    "0123456789abcdef0123456789abcdef",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_keys_and_tokens_in_the_providers_words_are_masked(secret: str) -> None:
    text = f"Wrong key https://{secret}" if secret.endswith("@") else f"Wrong key: {secret} given"
    words = words_of(401, {"error": {"message": text}}, secrets=["a-secret-of-the-route"])
    assert words.failure.message
    assert secret not in words.failure.message
    assert "hunter2" not in words.failure.message
    assert "[masked]" in words.failure.message


def test_the_providers_words_are_bounded() -> None:
    words = words_of(400, {"error": {"message": "word " * 1000}})
    assert len(words.failure.message or "") == 500


@pytest.mark.usefixtures("bedrock_credentials")
def test_the_words_of_bedrock() -> None:
    scripted = model_server.ProviderFailure(400, "ValidationException", "Input is too long.")
    with BedrockServer(scripted) as server:
        error = failure_of(bedrock_at(server))
    assert CONTEXT in str(error)
    assert error.provider
    assert (error.provider.status, error.provider.code) == (400, "ValidationException")
    assert error.provider.message == "Input is too long."
