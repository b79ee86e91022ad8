"""Test runs with the real state machine and handlers, beyond the cases of the sample agent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service, assert_whole

TOOLS_KEY = "ry_tools_key"


@pytest.fixture(scope="session")
def tools(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield the service for a key of the agent in `tests/agents/tools.yaml`."""
    stores.access_keys.save(TOOLS_KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="tools")
    running = Service(stack.base_url, TOOLS_KEY)
    yield running
    running.close()


def test_calls_of_a_response_run_concurrently_and_are_reported_in_order(tools: Service) -> None:
    run = tools.create({"case": "parallel"})
    assert run["status"] == "completed"
    events = tools.events(run["id"])
    assert_whole(events)
    started = [e for e in events if e["type"] == "agent.tool_call.started"]
    assert [e["data"]["tool"]["name"] for e in started] == ["lookup", "nothing", "lookup", "charge"]
    failed = {
        e["data"]["id"]: e["data"]["error"]["code"]
        for e in events
        if e["type"] == "agent.tool_call.failed"
    }
    assert list(failed.values()) == ["unknown_tool", "invalid_arguments"]
    assert sum(e["type"] == "agent.tool_call.completed" for e in events) == 2


def test_a_run_continues_after_its_last_input_request_is_answered(tools: Service) -> None:
    run = tools.create({"case": "two input requests"})
    first, second = run["input_requests"]
    assert (first["prompt"], second["prompt"]) == ("First?", "Second?")
    assert tools.answer({**run, "input_requests": [second]}, feedback="2").status_code == 200
    time.sleep(0.3)
    waiting = tools.run(run["id"])
    assert waiting["status"] == "awaiting_input"
    assert [request["id"] for request in waiting["input_requests"]] == [first["id"]]
    assert tools.answer(run, feedback="1").status_code == 200
    done = tools.wait(run["id"], "completed")
    assert done["output"] == {"content": "Thank you: 2"}


def test_concurrent_answers_are_all_recorded(tools: Service, stores: Stores) -> None:
    run = tools.create({"case": "two input requests"})

    def answer(number: int) -> int:
        request = run["input_requests"][number % 2]
        body = {"type": request["type"], "data": {"request_id": request["id"], "feedback": "x"}}
        return httpx.post(
            f"{tools.base_url}/v1/runs/{run['id']}/input",
            json=body,
            headers={"Authorization": f"Bearer {TOOLS_KEY}"},
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(answer, range(8))) == {200}
    tools.wait(run["id"], "completed")
    types = [event["type"] for event in tools.events(run["id"])]
    assert types.count("agent.human_feedback.received") == 2
    assert find_run_violations(stores, run["id"]) == []


def test_an_unanswered_input_request_gets_its_default(tools: Service) -> None:
    run = tools.create({"case": "expiry"})
    assert "expires_at" in run["input_requests"][0]
    done = tools.wait(run["id"], "completed")
    assert done["output"] == {"content": "no answer"}
    assert tools.answer(run, feedback="too late").status_code == 409
    types = [event["type"] for event in tools.events(run["id"])]
    assert "input_request.expired" in types


def test_an_unanswered_input_request_can_fail_the_run(tools: Service) -> None:
    run = tools.create({"case": "failing expiry"})
    done = tools.wait(run["id"], "failed")
    assert done["error"]["code"] == "input_expired"


def test_a_run_in_a_loop_is_stopped(tools: Service) -> None:
    run = tools.create({"case": "endless"})
    assert run["status"] == "failed"
    assert run["error"] == {"code": "limit_exceeded", "message": "the run has taken its 6 steps"}


def test_a_run_is_canceled_during_a_response(tools: Service, stores: Stores) -> None:
    run = tools.create({"case": "slow"}, background=True)
    frames = tools.stream(run["id"])
    for _ in range(10):
        next(frames)
    assert tools.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
    assert [frame.event for frame in frames][-2:] == ["run.cancel_requested", "run.canceled"]
    length = len(tools.events(run["id"]))
    time.sleep(0.5)
    assert len(tools.events(run["id"])) == length
    assert find_run_violations(stores, run["id"]) == []


def test_a_changed_agent_file_does_not_change_a_running_run(
    tools: Service, stack: DevStack
) -> None:
    file = Path(stack.environment["AGENTS_DIR"]) / "scripts" / "tools.yaml"
    text = file.read_text(encoding="utf-8")
    run = tools.create({"case": "two input requests"})
    try:
        file.write_text(text.replace("Thank you", "Changed"), encoding="utf-8")
        for request in run["input_requests"]:
            tools.answer({**run, "input_requests": [request]}, feedback="x")
        assert tools.wait(run["id"], "completed")["output"] == {"content": "Thank you: x"}
        other = tools.create({"case": "two input requests"})
        for request in other["input_requests"]:
            tools.answer({**other, "input_requests": [request]}, feedback="x")
        assert tools.wait(other["id"], "completed")["output"] == {"content": "Changed: x"}
    finally:
        file.write_text(text, encoding="utf-8")


def test_a_stream_whose_cursor_is_past_the_end_closes_with_the_run(tools: Service) -> None:
    run = tools.create({"case": "two input requests"})
    path = f"/v1/runs/{run['id']}/stream?after_sequence=100"
    with tools.http.stream("GET", path) as stream:
        assert stream.status_code == 200
        assert tools.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
        assert "event:" not in "".join(stream.iter_text())


def test_a_key_whose_agent_is_missing_gets_an_error(stack: DevStack, stores: Stores) -> None:
    stores.access_keys.save("ry_unknown", project_id="other", org_id=ORG_ID, agent="unknown")
    service = Service(stack.base_url, "ry_unknown")
    response = service.http.post("/v1/runs", json={"input": {"x": 1}})
    service.close()
    assert response.status_code == 503
    assert response.json()["error"]["details"] == {
        "agent": "is not available; see the log of the service"
    }
