"""Runs whose records fill the context window of a loopback server."""

from typing import Any

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from tests.support import provider_runs
from tests.support.provider_runs import ToolServer
from tests.support.run_factory import create_run
from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.window_server import WindowServer

COMPACTED = "agent.context.compacted"


class Records(ToolServer):
    """Answer each lookup with a record of `size` bytes."""

    def __init__(self, size: int = 1500) -> None:
        super().__init__()
        self.size = size

    def _respond(self, received: Received, exchange: Exchange) -> None:
        self.paths.append(received.path)
        text = f"{received.path} {'lorem ipsum ' * (self.size // 12)}"
        exchange.send(200, text.encode(), {"content-type": "text/plain"})


def agent_at(server: WindowServer, *, window: int | None = None, **fields: Any) -> Snapshot:
    """Return an agent whose model is the server; `window` is what its route states."""
    fields = {"limits": {"steps": 500}, **fields}
    agent = provider_runs.agent_at(server.url, "openai", **fields)
    route = agent.route.model_copy(update={"context_window": window})
    return agent.model_copy(update={"route": route})


def run_to_end(
    stores: Stores, server: WindowServer, records: Records, agent: Snapshot
) -> tuple[Run, list[Event]]:
    """Advance a run to its end, in as many executions as it needs."""
    run = create_run(stores, agent)
    events = provider_runs.advance(stores, run, records)
    found = stores.runs.get(run.id)
    assert found is not None
    return found, events


def compactions(events: list[Event]) -> list[dict[str, Any]]:
    """Return the data of each compaction."""
    return [dict(event.data) for event in events if event.type == COMPACTED]
