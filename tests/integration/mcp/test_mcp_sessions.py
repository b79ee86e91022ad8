"""Test the older era of MCP: detection, sessions, streams that continue, requests of the server."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from runyard_service.agents.mcp import sessions
from runyard_service.agents.mcp.base import ToolResult
from runyard_service.agents.tools.base import ToolError
from tests.support.mcp import McpClient
from tests.support.servers.fake_mcp_server import event, listed, text
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

Answer = Callable[[Received, Exchange], None]


@dataclass
class SessionServer:
    """A server of version 2025-11-25. `stream` answers calls; `answers` has what clients answer."""

    version: str = "2025-11-25"
    unknown_method: int = 400
    session: str | None = "session-1"
    stream: Answer | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer a request."""
        message = received.json if received.body else {"method": "GET"}
        if "method" not in message:
            self.answers.append(message)
            self.answered.set()
            exchange.send(202)
            return
        match message["method"]:
            case "initialize":
                result = {"protocolVersion": self.version, "capabilities": {}}
                self._send(exchange, message, result)
            case "notifications/initialized":
                exchange.send(202)
            case "tools/list":
                self._send(exchange, message, {"tools": [listed("echo")]})
            case "tools/call" | "GET" if self.stream:
                self.stream(received, exchange)
            case "tools/call":
                self._send(exchange, message, text("ok"))
            case _:
                exchange.send(self.unknown_method, b"no")

    def _send(self, exchange: Exchange, message: dict[str, Any], result: dict[str, Any]) -> None:
        headers = {"mcp-session-id": self.session} if self.session else {}
        exchange.send_json(200, {"jsonrpc": "2.0", "id": message["id"], "result": result}, headers)


def call(server: LoopbackServer, **fields: Any) -> ToolResult:
    """Call a tool of the server."""
    result = McpClient(f"{server.url}/mcp", fields).call("echo", protocol="2025-11-25")
    assert isinstance(result, ToolResult)
    return result


@pytest.mark.parametrize("status", [400, 404, 405, 422, 500])
def test_a_server_that_does_not_know_the_newest_era_is_initialized(status: int) -> None:
    with LoopbackServer(SessionServer(unknown_method=status)) as server:
        assert McpClient(f"{server.url}/mcp").list().protocol == "2025-11-25"


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_server_that_does_not_say_its_era_is_asked_again(status: int) -> None:
    answers = SessionServer(unknown_method=status)
    with LoopbackServer(answers) as server:
        client = McpClient(f"{server.url}/mcp")
        with pytest.raises(ToolError, match=f"HTTP {status}"):
            client.list()
        answers.unknown_method = 404

        assert client.list().protocol == "2025-11-25"


def test_a_session_is_used_for_all_calls() -> None:
    with LoopbackServer(SessionServer(version="2025-06-18")) as server:
        client = McpClient(f"{server.url}/mcp")
        for _ in range(2):
            client.call("echo", protocol="2025-11-25")

    methods = [received.json["method"] for received in server.received]
    headers = server.received[-1].headers
    assert methods == ["initialize", "notifications/initialized", "tools/call", "tools/call"]
    assert headers["mcp-session-id"] == "session-1"
    assert headers["mcp-protocol-version"] == "2025-06-18"


def test_a_server_without_sessions_is_initialized_once() -> None:
    with LoopbackServer(SessionServer(session=None)) as server:
        client = McpClient(f"{server.url}/mcp")
        for _ in range(2):
            client.call("echo", protocol="2025-11-25")

    assert len(server.received) == 4
    assert "mcp-session-id" not in server.received[-1].headers


def test_an_unknown_version_is_an_error() -> None:
    with (
        LoopbackServer(SessionServer(version="2024-11-05")) as server,
        pytest.raises(ToolError, match="2024-11-05") as caught,
    ):
        call(server)

    assert caught.value.code == "mcp_error"


def test_a_stream_that_the_server_closes_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_RESUME_PAUSE_SECONDS", 0)
    calls: list[Any] = []

    def stream(received: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        if received.method == "POST":
            calls.append(received.json["id"])
            exchange.piece(b"id: event-1\ndata:\n\n")
        else:
            answer = {"jsonrpc": "2.0", "id": calls[0], "result": text("late")}
            exchange.piece(event(answer))
        exchange.end()

    with LoopbackServer(SessionServer(stream=stream)) as server:
        result = call(server)

    assert result == ToolResult("late", [])
    assert len(calls) == 1
    assert server.received[-1].headers["last-event-id"] == "event-1"
    assert server.received[-1].headers["mcp-session-id"] == "session-1"


def test_a_stream_that_never_answers_is_continued_only_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "_RESUME_PAUSE_SECONDS", 0)

    def stream(received: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        exchange.piece(b"id: event-1\ndata:\n\n")
        exchange.end()

    with (
        LoopbackServer(SessionServer(stream=stream)) as server,
        pytest.raises(ToolError) as caught,
    ):
        call(server)

    assert (caught.value.code, caught.value.is_in_doubt) == ("mcp_error", True)
    assert [received.method for received in server.received[3:]] == ["GET"] * 5


def test_requests_of_the_server_are_answered() -> None:
    answers = SessionServer()

    def stream(received: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        for number, method in enumerate(("ping", "sampling/createMessage")):
            answers.answered.clear()
            exchange.piece(event({"jsonrpc": "2.0", "id": f"own-{number}", "method": method}))
            answers.answered.wait(10)
        answer = {"jsonrpc": "2.0", "id": received.json["id"], "result": text("ok")}
        exchange.piece(event(answer))
        exchange.end()

    answers.stream = stream
    with LoopbackServer(answers) as server:
        call(server)

    ping, sampling = answers.answers
    assert ping == {"jsonrpc": "2.0", "id": "own-0", "result": {}}
    assert (sampling["id"], sampling["error"]["code"]) == ("own-1", -32601)
