"""Test whole runs whose tools belong to servers of the official packages."""

from collections.abc import Iterator

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp.base import ProtocolVersion
from tests.integration.mcp_runs.conftest import McpRuns, call
from tests.support.servers.desk_mcp_server import DeskMcpServer
from tests.support.servers.mcp_peers import peer

DONE = {"say": "Done."}
ERAS: dict[str, tuple[ProtocolVersion, ...]] = {
    "python": ("2026-07-28", "2025-11-25"),
    "typescript-stateless": ("2026-07-28", "2025-11-25"),
    "typescript-sessions": ("2025-11-25",),
}
SERVED = [(name, era) for name, eras in ERAS.items() for era in eras]


@pytest.fixture
def runs(stores: Stores, name: str) -> Iterator[McpRuns]:
    """Yield runs of agents with the tools of the server `name`."""
    with peer(name) as url:
        yield McpRuns(stores, DeskMcpServer(), url.removesuffix("/mcp"))


@pytest.mark.parametrize(("name", "era"), SERVED)
def test_results_failures_and_files_are_in_the_log(runs: McpRuns, era: ProtocolVersion) -> None:
    servers = {"desk": McpServer(url=f"{runs.url}/mcp", protocol=era)}
    turns = [call("add", a=1, b=2), call("picture"), call("fail"), DONE]

    run = runs.start(turns, servers=servers)
    events = runs.finish(run)

    assert events[1].data["protocol"] == era
    results = runs.results(run)
    assert results[0] == '{"total": 3}'
    assert results[2] == "tool_error"
    [file] = next(each.data["files"] for each in events if each.data.get("files"))
    assert (file["mime_type"], file["size"]) == ("image/png", 8)
    assert events[-1].type == "run.completed"


@pytest.mark.parametrize("name", ["python", "typescript-stateless"])
def test_a_person_confirms_and_the_order_is_paid_once(runs: McpRuns) -> None:
    run = runs.start([call("pay", order="7"), call("pay", order="8"), DONE])

    runs.pause(run)
    [request] = runs.stores.input_requests.open_of_run(run.id)
    runs.answer(run, feedback={"sure": True})
    runs.pause(run)
    runs.answer(run, declined=True)
    runs.finish(run)

    assert request.prompt == "Pay order 7?"
    paid, denied = runs.results(run)
    assert "paid 1" in paid
    assert "not paid" in denied
