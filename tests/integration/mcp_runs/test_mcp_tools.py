"""Test runs that list and call the tools of MCP servers."""

import json

import pytest

from runyard_service.adapters import run_deletion
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.models import FallbackRoute
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelRequest, UserMessage
from runyard_service.application.runs.close_run import close_run
from runyard_service.application.steps import retries
from runyard_service.domain.errors import ToolsUnavailableError
from tests.integration.mcp_runs.conftest import McpRuns, call
from tests.support.servers.desk_mcp_server import PIXEL, READ_ONLY
from tests.support.servers.fake_mcp_server import listed
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, OpenAIServer

DONE = {"say": "Done."}


def test_a_run_of_20_steps_lists_its_tools_once(mcp: McpRuns) -> None:
    searches = [call("search", text=str(number)) for number in range(18)]
    run = mcp.start([*searches[:9], call("book"), *searches[9:], DONE])
    mcp.pause(run)
    mcp.answer(run, declined=True)
    mcp.finish(run)
    assert mcp.server.lists == 1
    assert len(mcp.results(run)) == 19
    [listed] = [event for event in mcp.events(run) if event.type == "agent.tools.listed"]
    assert listed.sequence == 2
    assert [each["as"] for each in listed.data["tools"]][:2] == ["search", "charge"]
    assert mcp.events(run)[3].data["tool"] == {"name": "search", "type": "mcp-tool"}


def test_another_list_does_not_change_a_run_that_has_listed(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), call("search", text="b"), DONE])
    other = mcp.start([call("search", text="c"), DONE])
    mcp.pause(run)
    mcp.server.tools = [listed("find")]
    mcp.answer(run, declined=True)
    mcp.finish(run)
    assert mcp.results(run) == ["not done: decline", "found b"]
    mcp.finish(other)
    assert mcp.results(other) == ["unknown_tool"]


def test_a_tool_that_the_server_has_dropped_is_an_error_for_the_model(mcp: McpRuns) -> None:
    mcp.server.tools.append(listed("old"))
    run = mcp.start([call("old"), DONE])
    mcp.finish(run)
    assert mcp.results(run) == ["tool_gone"]


def test_the_effect_of_a_call_happens_under_its_idempotency_key(mcp: McpRuns) -> None:
    run = mcp.start([call("charge"), DONE])
    events = mcp.finish(run)
    started = next(event for event in events if event.type == "agent.tool_call.started")
    assert mcp.server.effects == {started.data["id"]: 1}
    assert mcp.results(run) == ["charged 1"]


def test_arguments_are_checked_by_the_listed_schema(mcp: McpRuns) -> None:
    run = mcp.start([call("search", text=1), DONE])
    mcp.finish(run)
    assert mcp.results(run) == ["invalid_arguments"]
    assert mcp.server.calls == []


def test_approvals_of_hints_ask_unless_a_tool_only_reads(mcp: McpRuns) -> None:
    desk = mcp.desk(trust_hints=True)
    turns = [call("search", text="a"), call("charge"), DONE]
    run = mcp.start(turns, servers={"desk": desk}, approval="hints")
    mcp.pause(run)
    assert mcp.results(run) == ["found a"]
    mcp.answer(run, is_approved=True)
    mcp.finish(run)
    assert mcp.results(run) == ["found a", "charged 1"]


def test_edited_arguments_are_checked_by_the_listed_schema(mcp: McpRuns) -> None:
    run = mcp.start([call("charge", text="a"), DONE], approval={"editable": ["text"]})
    mcp.pause(run)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert request.params_schema == {"type": "object", "properties": {"text": {"type": "string"}}}
    assert request.tool == {"name": "charge", "type": "mcp-tool", "effect": "unsafe"}
    with pytest.raises(Exception, match=r"params\.text"):
        mcp.answer(run, is_approved=True, params={"text": 1})
    mcp.answer(run, is_approved=True, params={"text": "b"})
    mcp.finish(run)
    assert mcp.server.calls[-1]["arguments"] == {"text": "b"}


def test_a_call_that_only_reads_is_repeated_while_the_server_is_overloaded(mcp: McpRuns) -> None:
    mcp.server.tools = [listed("search", annotations=READ_ONLY)]
    desk = mcp.desk(trust_hints=True)
    run = mcp.start([call("search"), DONE], servers={"desk": desk}, effect="hints")
    mcp.server.failures = [503, 503]
    mcp.finish(run)
    assert mcp.results(run) == ["found "]
    assert mcp.server.lists == 1


def test_an_unavailable_server_fails_the_step_for_the_state_machine(mcp: McpRuns) -> None:
    run = mcp.start([DONE])
    mcp.server.failures = [503] * 3
    with pytest.raises(ToolsUnavailableError, match="'desk' cannot be listed"):
        mcp.advance(run)
    mcp.finish(run)
    assert mcp.types(run)[-1] == "run.completed"


def test_the_run_fails_with_the_reason_after_the_retries_of_the_state_machine(
    mcp: McpRuns,
) -> None:
    run = mcp.start([DONE])
    cause = json.dumps({"errorMessage": "The tools of the MCP server 'desk' cannot be listed."})
    close_run(mcp.stores, run.current_execution, "ToolsUnavailableError", cause)
    assert mcp.events(run)[-1].data["error"] == {
        "code": "tools_unavailable",
        "message": "The tools of the MCP server 'desk' cannot be listed.",
    }


def test_a_server_that_rejects_the_caller_fails_the_run(mcp: McpRuns) -> None:
    run = mcp.start([DONE])
    mcp.server.failures = [403]
    assert mcp.finish(run)[-1].data["error"]["code"] == "tools_unavailable"


def test_a_run_can_start_without_an_optional_server(mcp: McpRuns) -> None:
    run = mcp.start([call("search"), DONE], servers={"desk": mcp.desk(optional=True)})
    mcp.server.failures = [403]
    events = mcp.finish(run)
    assert (events[1].data["tools"], events[1].data["protocol"]) == ([], "")
    assert "HTTP 403" in events[1].data["reason"]
    assert mcp.results(run) == ["unknown_tool"]


def test_all_servers_are_listed_at_the_same_time(mcp: McpRuns) -> None:
    servers = {"desk": mcp.desk(), "gone": McpServer(url="http://127.0.0.1:1/mcp", optional=True)}
    run = mcp.start([call("search"), DONE], servers=servers)
    events = mcp.finish(run)
    assert [event.data["server"] for event in events[1:3]] == ["desk", "gone"]


def test_two_tools_of_one_name_fail_the_run(mcp: McpRuns) -> None:
    mcp.server.tools = [listed("a.b"), listed("a_b")]
    run = mcp.start([DONE])
    error = mcp.finish(run)[-1].data["error"]
    assert error["code"] == "tools_invalid"
    assert "'a_b'" in error["message"]


def test_progress_is_in_the_log_at_most_once_a_second(mcp: McpRuns) -> None:
    run = mcp.start([call("count"), DONE])
    events = mcp.finish(run)
    progress = [event for event in events if event.type == "agent.tool_call.progress"]
    started = next(event for event in events if event.type == "agent.tool_call.started")
    assert [event.data for event in progress] == [
        {"id": started.data["id"], "progress": 1, "total": 3, "message": "so far"}
    ]
    assert mcp.results(run) == ["counted"]


@pytest.mark.parametrize("window", [None, 100_000])
def test_files_of_a_result_are_stored_and_sent_to_the_model(
    mcp: McpRuns, window: int | None
) -> None:
    seen: list[ModelRequest] = []
    mcp.record_requests(seen)
    route = Route(model="scripted:scripted", context_window=window)
    run = mcp.start([call("draw"), call("search"), DONE], route=route)
    events = mcp.finish(run)
    completed = next(event for event in events if event.type == "agent.tool_call.completed")
    [file] = completed.data["files"]
    assert (file["mime_type"], file["size"]) == ("image/png", len(PIXEL))
    stored = mcp.stores.files.ready(run.project_id, file["id"])
    assert mcp.stores.files.read(stored, 1000) == PIXEL
    first, second, third = (
        [one for one in request.messages if isinstance(one, UserMessage) and one.attachments]
        for request in seen
    )
    assert first == []
    assert [one.data for one in second[0].attachments] == [PIXEL]
    assert third == second


def test_files_of_a_result_are_prepared_for_the_fallback_route(
    mcp: McpRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.01)
    seen: list[ModelRequest] = []
    mcp.record_requests(seen)
    script = {"dialogues": [{"name": "second", "turns": [call("draw"), DONE]}]}
    second = FallbackRoute(route=Route(model="scripted:second"), route_id="second", script=script)
    with OpenAIServer() as first:
        drawn = ChatResponse(tool_calls=[ChatToolCall("draw", ["{}"])])
        busy = ProviderFailure(503, "busy", "Too many requests.")
        first.responses.extend([drawn, busy, busy, busy])
        route = Route(model="openai:first", base_url=first.base_url)
        mcp.finish(mcp.start([], route=route, fallback=(second,)))
    [request] = seen
    messages = [each for each in request.messages if isinstance(each, UserMessage)]
    assert [(file.data, file.uri) for file in messages[-1].attachments] == [(PIXEL, "")]


def test_files_of_results_are_deleted_with_the_run(
    mcp: McpRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = mcp.start([call("draw"), DONE])
    events = mcp.finish(run)
    completed = next(event for event in events if event.type == "agent.tool_call.completed")
    file_id = completed.data["files"][0]["id"]
    monkeypatch.setattr(run_deletion, "FENCED_SECONDS", 0)
    deleted = mcp.stores.deleted_runs.hide(mcp.record(run))
    assert deleted is not None
    assert mcp.stores.files.find(run.project_id, file_id) is not None
    mcp.stores.deleted_runs.remove(deleted)
    assert mcp.stores.files.find(run.project_id, file_id) is None
