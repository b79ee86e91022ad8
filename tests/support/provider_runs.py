"""Run an agent against a loopback server of a provider, with tools on a loopback server."""

from decimal import Decimal
from typing import Any

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.steps.advance_run import advance_run
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from runyard_service.event_loops import run_async
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

MODELS = {
    "openai": "openai:some-model",
    "openai-responses": "openai-responses:gpt-5-mini",
    "google": "google:gemini-3-flash-preview",
    "mistral": "mistral:magistral-medium-2509",
    "anthropic": "anthropic:claude-haiku-4-5",
    "bedrock": "bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0",
}
# The version that a base URL of these APIs ends with.
VERSIONS = {"openai": "/v1", "openai-responses": "/v1", "google": "/v1beta", "mistral": "/v1"}
LOOKUP = {
    "kind": "http",
    "name": "lookup",
    "description": "Looks a record up.",
    "url": "${API}/records/{id}",
    "effect": "none",
    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
}


def agent_at(
    url: str, provider: str, tools: list[dict[str, Any]] | None = None, **fields: Any
) -> Snapshot:
    """Return an agent whose model is the server at `url`. `fields` are those of its definition."""
    base_url = url + VERSIONS.get(provider, "")
    price = Decimal(1)
    route = Route(
        model=MODELS[provider],
        base_url=base_url,
        input_usd_per_million=price,
        output_usd_per_million=price,
    )
    agent = scripted_agent([{"say": "."}], [LOOKUP] if tools is None else tools, route=route)
    stored = agent.definition.model_dump(mode="json", exclude_unset=True)
    definition = AgentDefinition.model_validate({**stored, **fields})
    return agent.model_copy(update={"definition": definition, "script": None})


class ToolServer(LoopbackServer):
    """Answer each request of a tool with its path; `paths` has them all."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.paths: list[str] = []

    def _respond(self, received: Received, exchange: Exchange) -> None:
        self.paths.append(received.path)
        exchange.send(200, received.path.encode(), {"content-type": "text/plain"})


def run_to_end(stores: Stores, agent: Snapshot, tools: ToolServer) -> list[Event]:
    """Start a run of the agent, advance it in one worker, and return its log without deltas."""
    return advance(stores, create_run(stores, agent), tools)


def advance(stores: Stores, run: Run, tools: ToolServer) -> list[Event]:
    """Advance the run in a new worker, and return its log without deltas."""
    worker = WorkerDeps(
        stores=stores,
        model_for=lambda used: model_for(
            used.route, None, None if used.route.provider == "bedrock" else "key"
        ),
        tools=ToolEnvironment({"API": tools.url}, (tools.host_and_port,)),
        flush_seconds=0,
        reserve_seconds=1,
    )
    run_async(advance_run(worker, run.current_execution, 700))
    return [event for event in stores.log.events(run.id) if not event.type.endswith(".delta")]
