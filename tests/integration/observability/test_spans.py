"""Test spans of OpenTelemetry's GenAI conventions, as a loopback collector receives them."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.routes import Route
from runyard_service.application.steps import retries
from runyard_service.application.steps.advance_run import AdvanceResult
from runyard_service.domain.errors import ModelUnavailableError
from runyard_service.domain.runs import Run
from runyard_service.observability.otlp import OtlpExporter, headers_of
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import (
    ChatResponse,
    ChatToolCall,
    ChatUsage,
    OpenAIServer,
)
from tests.support.service import Service

KINDS = {1: "internal", 3: "client"}


@dataclass
class Seen:
    """A span as the collector received it."""

    span: dict[str, Any]
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.span["name"])


class Collector:
    """Accepts OTLP over HTTP in JSON, and responds with `status`."""

    def __init__(self) -> None:
        self.status = 200

    def __call__(self, request: Received, exchange: Exchange) -> None:
        exchange.send_json(self.status, {})


def spans_of(server: LoopbackServer) -> list[Seen]:
    """Return every received span, in the order of their ends."""
    found = []
    for request in server.received:
        assert (request.method, request.path) == ("POST", "/v1/traces")
        assert request.headers["content-type"] == "application/json"
        [resource] = request.json["resourceSpans"]
        assert plain_values(resource["resource"]["attributes"]) == {"service.name": "runyard"}
        [scope] = resource["scopeSpans"]
        found += [Seen(span, plain_values(span["attributes"])) for span in scope["spans"]]
    return found


def plain_values(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Convert the typed values of OTLP to plain values."""
    readers: dict[str, Callable[[Any], Any]] = {
        "stringValue": str,
        "intValue": int,
        "boolValue": bool,
        "doubleValue": float,
        "arrayValue": lambda value: [
            plain_values([{"key": "", "value": v}])[""] for v in value["values"]
        ],
    }
    read = {}
    for each in attributes:
        [(kind, value)] = each["value"].items()
        read[each["key"]] = readers[kind](value)
    assert len(read) == len(attributes), "a key comes twice"
    return read


class TracedRuns(RunDriver):
    """Runs of an agent with one tool, whose worker exports spans to the collector."""

    def __init__(self, stores: Stores, collector: Collector, server: LoopbackServer) -> None:
        super().__init__(stores)
        self.collector = collector
        self.server = server
        self.shows_content = False
        self.export = OtlpExporter(
            server.url, lambda: headers_of("api-key=k=1, x-team = a"), {"service.name": "runyard"}
        )

    def start(self, route: Route) -> Run:
        tools = [
            {
                "kind": "python",
                "name": name,
                "description": "Does it.",
                "function": f"tests.integration.observability.test_spans:{name}",
                "parameters": {"type": "object"},
            }
            for name in ("double", "fails")
        ]
        return create_run(
            self.stores,
            scripted_agent([], tools, route=route),
            input={"secret": "heliotrope"},
            session_id="session-1",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        )

    def advance(self, run: Run, seconds: float = 700) -> AdvanceResult:
        self.worker = replace(
            self.worker, export_spans=self.export, shows_content=self.shows_content
        )
        return super().advance(run, seconds)


def double(n: int) -> int:
    return 2 * n


def fails() -> None:
    raise ValueError("amaranthine")


@pytest.fixture
def driver(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracedRuns]:
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.001)
    collector = Collector()
    with LoopbackServer(collector) as server:
        yield TracedRuns(stores, collector, server)


def talking_to(server: OpenAIServer) -> Route:
    return Route(
        model="openai:gpt-5",
        base_url=server.base_url,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(1),
    )


CALL = ChatResponse(
    tool_calls=[
        ChatToolCall("double", ['{"n": 21}'], id="a"),
        ChatToolCall("fails", ["{}"], id="b"),
    ],
    usage=ChatUsage(prompt=120, completion=8, cached=100),
    model="gpt-5-2026-01-01",
)
ANSWER = ChatResponse(
    ["It is 42."], finish_reason="stop", usage=ChatUsage(prompt=150, completion=9)
)


def test_an_invocation_is_a_span_with_child_spans_for_model_and_tool_calls(
    driver: TracedRuns,
) -> None:
    with OpenAIServer(CALL, ANSWER) as model:
        run = driver.start(talking_to(model))
        driver.advance(run)
    spans = spans_of(driver.server)
    assert {request.headers["api-key"] for request in driver.server.received} == {"k=1"}
    assert {request.headers["x-team"] for request in driver.server.received} == {"a"}
    assert sorted(span.name for span in spans) == [
        "chat gpt-5",
        "chat gpt-5",
        "execute_tool double",
        "execute_tool fails",
        "invoke_agent scripted",
    ]
    root = spans[-1]
    assert root.name == "invoke_agent scripted"
    assert "parentSpanId" not in root.span
    common = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.conversation.id": "session-1",
        "runyard.run.id": run.id,
    }
    assert root.attributes == {
        **common,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "scripted",
        "gen_ai.agent.version": "1",
    }
    for span in spans:
        assert span.span["traceId"] == run.trace_id
        assert len(bytes.fromhex(span.span["spanId"])) == 8
        started, ended = (int(span.span[f"{end}TimeUnixNano"]) for end in ("start", "end"))
        assert int(root.span["startTimeUnixNano"]) <= started <= ended
        assert ended <= int(root.span["endTimeUnixNano"])
        if span is not root:
            assert span.span["parentSpanId"] == root.span["spanId"]
    assert len({span.span["spanId"] for span in spans}) == len(spans)

    first, second = (span for span in spans if span.name.startswith("chat"))
    assert KINDS[first.span["kind"]] == "client"
    assert first.attributes == {
        **common,
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "gpt-5-2026-01-01",
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "server.address": "127.0.0.1",
    }
    assert second.attributes["gen_ai.response.finish_reasons"] == ["stop"]


def test_a_failed_call_has_its_error_code_in_the_span(driver: TracedRuns) -> None:
    with OpenAIServer(CALL, ANSWER) as model:
        run = driver.start(talking_to(model))
        driver.advance(run)
    made = {span.name: span for span in spans_of(driver.server)}
    events = {
        event.data["tool"]["name"]: event
        for event in driver.stores.log.events(run.id)
        if event.type in ("agent.tool_call.completed", "agent.tool_call.failed")
    }
    good, bad = made["execute_tool double"], made["execute_tool fails"]
    assert good.attributes["gen_ai.tool.name"] == "double"
    assert good.attributes["gen_ai.tool.type"] == "function"
    assert good.attributes["gen_ai.tool.call.id"] == events["double"].data["id"]
    assert KINDS[good.span["kind"]] == "internal"
    assert "status" not in good.span
    assert bad.span["status"] == {"code": 2}
    assert bad.attributes["error.type"] == events["fails"].data["error"]["code"]


def test_each_attempt_of_a_model_call_is_a_span(driver: TracedRuns) -> None:
    with OpenAIServer(choose=lambda _: ProviderFailure(503)) as model:
        run = driver.start(talking_to(model))
        with pytest.raises(ModelUnavailableError):
            driver.advance(run)
    *attempts, root = spans_of(driver.server)
    assert [span.name for span in attempts] == ["chat gpt-5"] * retries.ATTEMPTS
    assert {span.attributes["error.type"] for span in attempts} == {"overloaded"}
    assert root.attributes["error.type"] == "ModelUnavailableError"


def test_spans_have_content_only_if_enabled(driver: TracedRuns) -> None:
    for shows_content in (False, True):
        driver.server.received.clear()
        driver.shows_content = shows_content
        with OpenAIServer(CALL, ANSWER) as model:
            driver.advance(driver.start(talking_to(model)))
        [text] = [request.body.decode() for request in driver.server.received]
        for content in ("heliotrope", "It is 42.", "Continue."):
            assert (content in text) == shows_content
    chat = [span for span in spans_of(driver.server) if span.name.startswith("chat")][-1]
    messages = json.loads(chat.attributes["gen_ai.input.messages"])
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    [called, _] = messages[1]["parts"]
    assert (called["type"], called["name"], called["arguments"]) == (
        "tool_call",
        "double",
        {"n": 21},
    )
    assert messages[2]["parts"][0] == {
        "type": "tool_call_response",
        "id": called["id"],
        "response": "42",
    }
    assert json.loads(chat.attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "It is 42."}],
            "finish_reason": "stop",
        }
    ]
    made = {span.name: span for span in spans_of(driver.server)}["execute_tool double"]
    assert json.loads(made.attributes["gen_ai.tool.call.arguments"]) == {"n": 21}
    assert made.attributes["gen_ai.tool.call.result"] == "42"


def test_a_collector_that_rejects_spans_does_not_affect_the_run(driver: TracedRuns) -> None:
    driver.collector.status = 401
    with OpenAIServer(ANSWER) as model:
        run = driver.start(talking_to(model))
        driver.advance(run)
    assert ended(driver, run) == "completed"
    assert len(driver.server.received) == 1


def test_an_unreachable_collector_is_not_called_for_a_while(driver: TracedRuns) -> None:
    with LoopbackServer(Collector()) as gone:
        url = gone.url
    asked = []

    def headers() -> dict[str, str]:
        asked.append(1)
        return {}

    driver.export = OtlpExporter(url, headers, {})
    for _ in range(2):
        with OpenAIServer(ANSWER) as model:
            run = driver.start(talking_to(model))
            driver.advance(run)
        assert ended(driver, run) == "completed"
    assert len(asked) == 1


def ended(driver: TracedRuns, run: Run) -> str:
    found = driver.stores.runs.get(run.id)
    assert found is not None
    return found.status


def test_a_deployed_worker_sends_spans_to_the_configured_address(tmp_path: Path) -> None:
    """Test the complete path: settings, secret with headers, real handler, collector."""
    with LoopbackServer(Collector()) as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS_SECRET": "runyard/otlp",
        }
        with DevStack.start(data_dir=tmp_path, environment=settings) as stack:
            secrets = stack.client("secretsmanager")
            secrets.create_secret(Name="runyard/otlp", SecretString="api-key=from the secret")
            service = Service(stack.base_url, stack.access_key)
            body = {"input": {"ticket_subject": "Slow", "customer_id": "customer-1"}}
            created = service.http.post("/v1/runs", json=body)
            service.close()
            # A synchronous create returns at the end of the run; the spans are sent after that.
            until = time.monotonic() + 30
            while not collector.received and time.monotonic() < until:
                time.sleep(0.02)
        assert created.json()["data"]["status"] == "completed"
    [request] = collector.received
    assert request.headers["api-key"] == "from the secret"
    [resource] = request.json["resourceSpans"]
    assert plain_values(resource["resource"]["attributes"]) == {
        "service.name": "runyard",
        "deployment.environment.name": "dev",
    }
    spans = [span for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert {span["traceId"] for span in spans} == {created.headers["X-Trace-Id"]}
    assert [span["name"] for span in spans] == [
        "chat support_triage",
        "execute_tool lookup-customer",
        "chat support_triage",
        "invoke_agent support_triage",
    ]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai-responses:x", "openai"),
        ("openai-chat:x", "openai"),
        ("google:x", "gcp.gemini"),
        ("mistral:x", "mistral_ai"),
    ],
)
def test_a_span_has_the_providers_name_in_opentelemetry(
    driver: TracedRuns, model: str, name: str
) -> None:
    """No server listens at the address: the span of the failed call has the name too."""
    run = driver.start(Route(model=model, base_url="http://127.0.0.1:9"))
    with pytest.raises(ModelUnavailableError):
        driver.advance(run)
    names = {span.attributes["gen_ai.provider.name"] for span in spans_of(driver.server)}
    assert names == {name}
