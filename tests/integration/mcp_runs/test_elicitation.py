"""Test MCP servers that ask for input: a person answers once, and the effect happens once."""

from runyard_service.domain.runs import Run
from tests.integration.mcp_runs.conftest import McpRuns, call
from tests.support.servers.desk_mcp_server import SEAT_FORM
from tests.support.wait_until import wait_until

DONE = {"say": "Done."}
AISLE = {"seat": "aisle"}


def requested(mcp: McpRuns, run: Run) -> int:
    """Return the number of input requests of the run."""
    return mcp.types(run).count("agent.human_feedback.requested")


def test_a_person_answers_the_form_of_a_server(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE])
    mcp.pause(run)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert (request.prompt, request.params) == ("Which seat?", {"form": SEAT_FORM})
    mcp.answer(run, feedback=AISLE)
    mcp.finish(run)
    assert mcp.results(run) == ['done 1 [{"seat": "aisle"}]']
    types = mcp.types(run)
    start = types.index("agent.tool_call.started")
    assert types[start : start + 7] == [
        "agent.tool_call.started",
        "agent.tool_call.input_required",
        "agent.human_feedback.requested",
        "run.paused",
        "agent.human_feedback.received",
        "run.resumed",
        "agent.tool_call.completed",
    ]


def test_the_state_of_the_server_is_not_in_the_log(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE])
    mcp.pause(run)
    assert "state-1" not in str([event.data for event in mcp.events(run)])
    assert mcp.stores.input_requests.call_state(run.id, _call_id(mcp, run.id)) == "state-1"


def test_an_answer_after_the_end_of_the_state_asks_once_and_acts_once(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE])
    mcp.pause(run)
    mcp.server.forget_states()
    mcp.answer(run, feedback=AISLE)
    mcp.finish(run)
    assert mcp.results(run) == ['done 1 [{"seat": "aisle"}]']
    assert requested(mcp, run) == 1
    assert list(mcp.server.effects.values()) == [1]


def test_a_new_request_after_the_end_of_the_state_is_asked_alone(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE])
    mcp.pause(run)
    mcp.server.forget_states()
    mcp.server.required["meal"] = {"message": "Which meal?"}
    mcp.answer(run, feedback=AISLE)
    mcp.pause(run)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert request.prompt == "Which meal?"
    mcp.answer(run, feedback={})
    mcp.finish(run)
    assert mcp.results(run) == ['done 1 [{"seat": "aisle"}, {}]']
    assert requested(mcp, run) == 2


def test_several_requests_of_a_round_are_answered_one_by_one(mcp: McpRuns) -> None:
    mcp.server.required["meal"] = {"message": "Which meal?"}
    run = mcp.start([call("book"), DONE])
    mcp.pause(run)
    mcp.answer(run, feedback=AISLE)
    mcp.answer(run, declined=True)
    mcp.finish(run)
    assert mcp.results(run) == ["not done: accept decline"]


def test_a_person_opens_a_url_and_runyard_does_not(mcp: McpRuns) -> None:
    url = f"{mcp.url}/sign"
    mcp.server.required = {"sign": {"mode": "url", "message": "Sign.", "url": url}}
    run = mcp.start([call("sign"), DONE])
    mcp.pause(run)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert request.params == {"url": url}
    mcp.answer(run, feedback="signed")
    mcp.finish(run)
    assert mcp.results(run) == ["done 1 [null]"]


def test_an_expired_request_cancels(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE], limits={"wait_seconds": 1})
    mcp.pause(run)
    [request] = mcp.stores.input_requests.open_of_run(run.id)
    assert request.on_expiry == "cancel"
    wait_until(lambda: request.is_overdue)
    mcp.finish(run)
    assert mcp.results(run) == ["not done: cancel"]


def test_a_request_that_no_person_can_answer_fails_the_call(mcp: McpRuns) -> None:
    mcp.server.required = {"seat": {"message": "Seat?", "requestedSchema": {"type": "string"}}}
    run = mcp.start([call("book"), DONE])
    mcp.finish(run)
    assert mcp.results(run) == ["mcp_error"]


def test_a_server_can_ask_ten_times(mcp: McpRuns) -> None:
    run = mcp.start([call("again"), DONE])
    for _ in range(10):
        mcp.pause(run)
        mcp.answer(run, feedback=AISLE)
    mcp.finish(run)
    assert mcp.results(run) == ["mcp_error"]
    assert requested(mcp, run) == 10


def test_an_approved_call_has_its_arguments_when_the_server_asks(mcp: McpRuns) -> None:
    run = mcp.start([call("book", text="a"), DONE], approval={"editable": ["text"]})
    mcp.pause(run)
    mcp.answer(run, is_approved=True, params={"text": "b"})
    mcp.pause(run)
    mcp.answer(run, feedback=AISLE)
    mcp.finish(run)
    assert [made["arguments"] for made in mcp.server.calls] == [{"text": "b"}] * 2


def test_a_worker_that_is_lost_after_the_request_asks_once(mcp: McpRuns) -> None:
    run = mcp.start([call("book"), DONE])
    assert mcp.advance(run).outcome == "needs_input"
    # The next execution was not started: another worker reads the same log.
    mcp.pause(run)
    mcp.answer(run, feedback=AISLE)
    mcp.finish(run)
    assert requested(mcp, run) == 1
    assert mcp.results(run) == ['done 1 [{"seat": "aisle"}]']


def test_parallel_calls_that_ask_wait_together(mcp: McpRuns) -> None:
    run = mcp.start([{"call": [{"tool": "book"}, {"tool": "search"}, {"tool": "book"}]}, DONE])
    mcp.pause(run)
    mcp.answer(run, feedback=AISLE)
    mcp.answer(run, feedback={"seat": "window"})
    mcp.finish(run)
    assert sorted(mcp.results(run)) == [
        'done 1 [{"seat": "aisle"}]',
        'done 1 [{"seat": "window"}]',
        "found ",
    ]


def _call_id(mcp: McpRuns, run_id: str) -> str:
    events = mcp.stores.log.events(run_id)
    return next(str(one.data["id"]) for one in events if one.type == "agent.tool_call.started")
