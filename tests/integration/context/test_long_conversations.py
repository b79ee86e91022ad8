"""Test runs that are longer than the context window of their model."""

import os
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from tests.support import provider_runs
from tests.support.provider_runs import ToolServer
from tests.support.run_factory import create_run
from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.window_server import SUMMARY, WindowServer

# The second size takes a minute: `make long-conversations`.
SIZES = [(60, 6_000), *([(400, 32_000)] if "LONG_CONVERSATIONS" in os.environ else [])]


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
    return [dict(event.data) for event in events if event.type == "agent.context.compacted"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("steps", "window"), SIZES)
def test_a_run_of_many_steps_finishes_in_a_small_window(
    stores: Stores, steps: int, window: int
) -> None:
    with WindowServer(steps, window) as server, Records() as records:
        run, events = run_to_end(stores, server, records, agent_at(server, window=window))
    assert (run.status, run.output, run.usage.steps) == ("completed", {"content": "Done."}, steps)
    assert server.rejected == 0
    # Each record was looked up once: nothing was forgotten or repeated.
    assert records.paths == [f"/records/{number}" for number in range(1, steps)]
    found = compactions(events)
    assert 2 <= len(found) < steps / 5
    assert {data["reason"] for data in found} == {"size"}
    assert {data["summary"] for data in found} == {SUMMARY}
    assert find_run_violations(stores, run.id) == []
