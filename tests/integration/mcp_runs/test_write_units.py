"""Count what the events of MCP tools cost: one write unit each, or two in a transaction."""

from runyard_service.adapters.dynamodb.event_log import write_units
from runyard_service.domain.events import event_type_of
from runyard_service.domain.runs import Run
from tests.integration.mcp_runs.conftest import McpRuns, call

DONE = {"say": "Done."}


def units_by_types(mcp: McpRuns, run: Run) -> dict[str, int]:
    """Return the write units of each batch of the log, by the types of its events."""
    return {
        " ".join(map(event_type_of, batch.lines)): write_units(batch.lines)
        for batch in mcp.stores.log.read(run.id)
    }


def test_each_event_of_mcp_tools_takes_one_write_unit(mcp: McpRuns) -> None:
    run = mcp.start([call("count"), call("book"), DONE])
    mcp.pause(run)
    mcp.answer(run, declined=True)
    mcp.finish(run)
    units = units_by_types(mcp, run)
    for kind in (
        "agent.tools.listed",
        "agent.tool_call.progress",
        "agent.tool_call.input_required",
        "agent.human_feedback.requested run.paused",
    ):
        assert units[kind] == 1, kind
