"""Runs whose records fill the context window of a loopback server."""

from typing import Any

from runyard_service.agents.definitions.models import Snapshot
from tests.support import provider_runs
from tests.support.provider_runs import ToolServer
from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.window_server import WindowServer


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
