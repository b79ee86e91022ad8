"""Test calls of tools: HTTP to loopback servers, Python functions, Lambda functions."""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.agents.definitions.tools import (
    HttpTool,
    LambdaTool,
    LocalTool,
    PythonTool,
)
from runyard_service.agents.lambda_client import lambda_client
from runyard_service.agents.tools.base import ToolEnvironment, ToolError, ToolInvocation
from runyard_service.agents.tools.dispatch import call_tool
from tests.support.servers.loopback import Exchange, LoopbackServer, Received


def called(
    tool: LocalTool,
    arguments: Mapping[str, Any] | None = None,
    private_hosts: tuple[str, ...] = (),
    **variables: str,
) -> str:
    """Return the result of one call."""
    invocation = ToolInvocation("project-1", "run-1", "call-1", arguments or {})
    environment = ToolEnvironment(variables, private_hosts)
    return asyncio.run(call_tool(tool, invocation, environment))


def failure_of(
    tool: LocalTool,
    arguments: Mapping[str, Any] | None = None,
    private_hosts: tuple[str, ...] = (),
) -> ToolError:
    """Return the error of a call."""
    with pytest.raises(ToolError) as caught:
        called(tool, arguments, private_hosts)
    return caught.value


def http(url: str, **fields: Any) -> HttpTool:
    """Return an `http` tool."""
    return HttpTool(name="tool", description="A tool.", kind="http", url=url, **fields)


def python(function: str, **fields: Any) -> PythonTool:
    """Return a `python` tool on one of the samples."""
    entry_point = f"tests.integration.tools.tool_samples:{function}"
    return PythonTool(
        name="tool", description="A tool.", kind="python", function=entry_point, **fields
    )


def answer_ok(received: Received, exchange: Exchange) -> None:
    exchange.send_json(200, {"ok": True})


def test_http_inserts_arguments_and_variables_into_the_templates() -> None:
    with LoopbackServer(answer_ok) as server:
        tool = http(
            "${BASE}/items/{id}?lang={lang}",
            headers={"Authorization": "Bearer ${KEY}", "X-Lang": "{lang}"},
        )
        arguments = {
            "id": "a/b?c=${KEY}",
            "lang": "de&x",
            "tags": ["x", "y"],
            "deep": True,
            "none": None,
        }
        result = called(tool, arguments, (server.host_and_port,), BASE=server.url, KEY="secret")
        request = server.received[0]
    assert json.loads(result) == {"ok": True}
    assert request.path == "/items/a%2Fb%3Fc%3D%24%7BKEY%7D?lang=de%26x&tags=x&tags=y&deep=true"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["x-lang"] == "de&x"
    assert request.headers["host"] == server.host_and_port
    assert "idempotency-key" not in request.headers
    assert request.body == b""


def test_http_sends_the_other_arguments_as_json_with_an_idempotency_key() -> None:
    with LoopbackServer(answer_ok) as server:
        tool = http(f"{server.url}/items/{{id}}", method="PUT")
        called(tool, {"id": 7, "name": "Zoë", "on": {"a": 1}}, (server.host_and_port,))
        request = server.received[0]
    assert (request.method, request.path) == ("PUT", "/items/7")
    assert request.json == {"name": "Zoë", "on": {"a": 1}}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "call-1"


@pytest.mark.parametrize(
    ("method", "effect", "has_key"),
    [
        ("GET", "none", False),
        ("GET", "idempotent", True),
        ("DELETE", "unsafe", True),
        ("POST", "none", True),
    ],
)
def test_http_sends_an_idempotency_key_except_for_a_get_without_effects(
    method: str, effect: str, has_key: bool
) -> None:
    with LoopbackServer(answer_ok) as server:
        tool = http(server.url, method=method, effect=effect)
        called(tool, {}, (server.host_and_port,))
        assert ("idempotency-key" in server.received[0].headers) == has_key


@pytest.mark.parametrize("value", [".", "..", ""])
def test_http_arguments_cannot_lead_to_another_resource(value: str) -> None:
    with LoopbackServer(answer_ok) as server:
        tool = http(f"{server.url}/items/{{id}}/parts", method="DELETE")
        error = failure_of(tool, {"id": value}, (server.host_and_port,))
        assert server.received == []
    assert error.code in {"argument_rejected", "argument_missing"}


def test_http_arguments_cannot_add_a_header() -> None:
    tool = http("http://127.0.0.1:1/", headers={"X-Name": "{name}"})
    assert failure_of(tool, {"name": "a\r\nX-Other: b"}).code == "argument_rejected"


def test_http_names_missing_arguments_and_variables() -> None:
    assert failure_of(http("${BASE}/items")).code == "variable_missing"
    assert failure_of(http("http://127.0.0.1:1/{id}"), {"id": None}).code == "argument_missing"


def test_http_reports_the_status_and_a_short_excerpt_of_a_failure() -> None:
    def fail(received: Received, exchange: Exchange) -> None:
        exchange.send(404, b"no such item " * 1000, {"content-type": "text/plain"})

    with LoopbackServer(fail) as server:
        tool = http(server.url, max_response_bytes=100)
        error = failure_of(tool, {}, (server.host_and_port,))
    assert error.code == "http_404"
    assert error.message.startswith("HTTP 404: no such item no such item")
    assert len(error.message) <= 520


def test_python_functions_get_the_arguments_as_keywords() -> None:
    assert called(python("greet"), {"name": "Ada", "times": 2}) == "Hello, Ada. Hello, Ada."
    assert json.loads(called(python("find_holiday"), {"year": 2026})) == {
        "name": "New Year",
        "day": "2026-01-01",
    }


@pytest.mark.parametrize("function", ["missing", "CONSTANT"])
def test_missing_python_functions_are_an_error(function: str) -> None:
    assert failure_of(python(function)).code == "function_missing"


def test_python_functions_fail_without_a_stack() -> None:
    error = failure_of(python("fail"))
    assert error.code == "tool_error"
    assert error.message.startswith("RuntimeError: the dog ate it")
    assert len(error.message) <= 200
    assert failure_of(python("greet"), {"unknown": 1}).code == "tool_error"
    assert failure_of(python("time_out_by_itself")).code == "tool_error"


@pytest.mark.parametrize("function", ["block", "wait"])
def test_python_functions_time_out(function: str) -> None:
    async def seconds() -> float:
        started = time.monotonic()
        invocation = ToolInvocation("project-1", "run-1", "call-1", {})
        with pytest.raises(ToolError) as caught:
            await call_tool(python(function, timeout=0.2), invocation, ToolEnvironment({}))
        assert caught.value.code == "timeout"
        return time.monotonic() - started

    assert asyncio.run(seconds()) < 1.4


def test_a_longer_result_than_the_limit_is_an_error_and_the_call_is_in_doubt() -> None:
    async def call(name: str) -> str:
        invocation = ToolInvocation("project-1", "run-1", "call-1", {"name": name, "times": 1}, 14)
        return await call_tool(python("greet"), invocation, ToolEnvironment({}))

    assert asyncio.run(call("Zoé")) == "Hello, Zoé."
    with pytest.raises(ToolError) as caught:
        asyncio.run(call("Zoééé"))
    assert (caught.value.code, caught.value.message) == (
        "response_too_large",
        "More than 14 bytes.",
    )
    assert caught.value.is_in_doubt
    assert not caught.value.is_transient


class LambdaServer(LoopbackServer):
    """Implements Invoke of Lambda with a fixed response."""

    def __init__(self, body: bytes, status: int = 200, **headers: str) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(lambda received, exchange: exchange.send(status, body, sent))


@pytest.fixture(autouse=True)
def _lambda_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    lambda_client.cache_clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def invoke(
    server: LambdaServer, monkeypatch: pytest.MonkeyPatch, arguments: Mapping[str, Any]
) -> str:
    """Return the result of a `lambda` tool."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    tool = LambdaTool(name="tool", description="A tool.", kind="lambda", function="stock")
    return called(tool, arguments)


@pytest.mark.parametrize(
    ("body", "result"), [(b'{"left": 3}', '{"left": 3}'), (b'"three"', "three"), (b"null", "null")]
)
def test_lambda_functions_get_the_arguments_and_the_key(
    monkeypatch: pytest.MonkeyPatch, body: bytes, result: str
) -> None:
    with LambdaServer(body) as server:
        assert invoke(server, monkeypatch, {"item": "yard"}) == result
        request = server.received[0]
    assert request.path == "/2015-03-31/functions/stock/invocations"
    assert request.json == {"item": "yard"}
    context = json.loads(base64.b64decode(request.headers["x-amz-client-context"]))
    assert context == {"custom": {"run_id": "run-1", "tool_call_id": "call-1"}}


def test_lambda_functions_fail_without_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"errorType": "KeyError", "errorMessage": "item", "stackTrace": ["secret line"]}
    with (
        LambdaServer(json.dumps(body).encode(), X_Amz_Function_Error="Unhandled") as server,
        pytest.raises(ToolError) as caught,
    ):
        invoke(server, monkeypatch, {})
    assert (caught.value.code, caught.value.message) == ("lambda_error", "KeyError: item")


def test_lambda_functions_that_cannot_be_invoked_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        LambdaServer(b"{}", 429, X_Amzn_ErrorType="TooManyRequestsException") as server,
        pytest.raises(ToolError) as caught,
    ):
        invoke(server, monkeypatch, {})
    assert len(server.received) == 1, "botocore tried again by itself"
    assert caught.value.code == "lambda_rejected"
    assert "TooManyRequests" in caught.value.message
