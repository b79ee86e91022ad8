"""Test tools that differ from the lock file: allowed, rejected, or allowed by a person."""

from typing import Literal

import pytest

from runyard_service.agents.mcp.base import ListedTool
from runyard_service.agents.mcp.digests import tool_digest
from runyard_service.domain.events import NewEvent
from runyard_service.domain.runs import Run
from tests.integration.mcp_runs.conftest import McpRuns, call
from tests.support.servers.fake_mcp_server import VALID_SCHEMA, listed

DONE = {"say": "Done."}


def start(mcp: McpRuns, on_change: Literal["allow", "ask", "fail"]) -> Run:
    """Start a run whose server has changed `search` and added `find` since it was locked."""
    mcp.server.tools = [listed("charge"), listed("search", description="New."), listed("find")]
    lock = {name: tool_digest(ListedTool(name, "A tool.", VALID_SCHEMA)) for name in LOCKED}
    servers = {"desk": mcp.desk(on_change=on_change)}
    turns = [call("search"), DONE]
    return mcp.start(turns, servers=servers, exclude=["old"], lock={"desk": lock})


LOCKED = ("charge", "search", "old")


def test_changed_tools_can_fail_the_run(mcp: McpRuns) -> None:
    run = start(mcp, "fail")
    error = mcp.finish(run)[-1].data["error"]
    assert error["code"] == "tools_changed"
    assert "'desk': find (added), search (changed)" in error["message"]


def test_a_worker_lost_after_the_list_does_not_allow_changed_tools(mcp: McpRuns) -> None:
    listing = start(mcp, "allow")
    mcp.finish(listing)
    [started, listed_tools, *_] = mcp.events(listing)
    run = start(mcp, "fail")
    changes = {"changes": {"find": "added"}}
    events = [
        NewEvent(type="run.started", data={**started.data, "id": run.id}),
        NewEvent(type="agent.tools.listed", data={**listed_tools.data, **changes}),
    ]
    mcp.stores.log.append(run.id, 0, events, [])
    assert mcp.finish(run)[-1].data["error"]["code"] == "tools_changed"


def test_changed_tools_can_be_allowed(mcp: McpRuns) -> None:
    run = start(mcp, "allow")
    assert "changes" not in mcp.finish(run)[1].data
    assert mcp.results(run) == ["found "]


def test_a_person_allows_changed_tools_once(mcp: McpRuns) -> None:
    run = start(mcp, "ask")
    assert mcp.advance(run).limit == "tools"
    met = mcp.advance(run)
    assert mcp.ask(run, met=met)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert request.params == {"servers": {"desk": {"find": "added", "search": "changed"}}}
    assert mcp.server.calls == []
    mcp.answer(run, is_approved=True)
    mcp.finish(run)
    assert mcp.results(run) == ["found "]
    assert mcp.types(run).count("approval_request.created") == 1
    assert mcp.server.lists == 1


@pytest.mark.parametrize("feedback", [None, "not reviewed"])
def test_a_person_does_not_allow_changed_tools(mcp: McpRuns, feedback: str | None) -> None:
    run = start(mcp, "ask")
    assert mcp.ask(run, met=mcp.advance(run))
    mcp.answer(run, is_approved=False, feedback=feedback)
    error = mcp.finish(run)[-1].data["error"]
    assert error["code"] == "tools_changed"
    assert error["message"].endswith(feedback or "search (changed)")
