"""Provide a fake MCP server, and runs of agents that use its tools."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.models import FallbackRoute, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import Model, ModelEvent, ModelRequest
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.models.scripted import ScriptedModel
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent, scripted_worker
from tests.support.servers.desk_mcp_server import DeskMcpServer
from tests.support.servers.loopback import LoopbackServer


class McpRuns(RunDriver):
    """Runs of agents with the tools of the MCP server `desk`."""

    def __init__(self, stores: Stores, server: DeskMcpServer, url: str) -> None:
        self.server, self.url = server, url
        tools = ToolEnvironment({}, (url.removeprefix("http://"),))
        super().__init__(stores, worker=scripted_worker(stores, tools))

    def start(
        self,
        turns: Sequence[Any],
        *,
        limits: Mapping[str, Any] | None = None,
        servers: Mapping[str, McpServer] | None = None,
        lock: Mapping[str, Mapping[str, str]] | None = None,
        route: Route | None = None,
        fallback: tuple[FallbackRoute, ...] = (),
        **entry: Any,
    ) -> Run:
        """Create a run whose model sends these turns; `entry` has fields of the agent's tool."""
        tool = {"kind": "mcp", "server": "desk", "include": ["*"], "prefix": "", **entry}
        agent = scripted_agent(turns, [tool], route=route, **(limits or {}))
        found = servers or {"desk": self.desk()}
        pinned = {"mcp_servers": found, "mcp_lock": lock or {}, "fallback": fallback}
        return create_run(self.stores, agent.model_copy(update=pinned))

    def desk(self, **fields: Any) -> McpServer:
        """Return the server as in `mcp.yaml`."""
        return McpServer(url=f"{self.url}/mcp", protocol="2026-07-28", **fields)

    def record_requests(self, seen: list[ModelRequest]) -> None:
        """Record the requests that a script answers."""

        class RecordingModel(ScriptedModel):
            def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
                seen.append(replace(request, messages=list(request.messages)))
                return super().stream(request)

        def recording(used: Snapshot | FallbackRoute) -> Model:
            if used.route.provider == "scripted":
                return RecordingModel(used.route, used.script or {})
            return model_for(used.route, used.script, "key")

        self.worker = replace(self.worker, model_for=recording)

    def finish(self, run: Run) -> list[Event]:
        """Advance the run to its end, and return its log without deltas."""
        assert self.advance(run).outcome == "finished"
        return self.events(run)

    def results(self, run: Run) -> list[str]:
        """Return the results of the tool calls, and the codes of failed calls."""
        return [
            event.data["result"] if "result" in event.data else event.data["error"]["code"]
            for event in self.events(run)
            if event.type in ("agent.tool_call.completed", "agent.tool_call.failed")
        ]


@pytest.fixture
def mcp(stores: Stores) -> Iterator[McpRuns]:
    """Yield the runs, on a server of their own."""
    server = DeskMcpServer()
    with LoopbackServer(server) as loopback:
        yield McpRuns(stores, server, loopback.url)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a turn of the model with one call."""
    return {"call": [{"tool": name, "input": arguments}]}
