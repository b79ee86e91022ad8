"""Test transient failures: retries within a step, their number, and the reported error."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.circuit_breaker_model import CircuitBreakerModel
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.runs.close_run import close_run
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps import retries
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.clock import parse
from runyard_service.domain.errors import ModelUnavailableError, SupersededError
from runyard_service.domain.events import Event
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.provider_failures import encode_cause
from runyard_service.domain.runs import Run
from runyard_service.outbound.circuit_breaker import FAILURES_IN_A_ROW, CircuitBreakers
from tests.support.retry_events import find_retry_violations
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import ask, scripted_agent, scripted_worker
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, OpenAIServer


class Tool:
    """A tool server with scripted responses; the last repeats, and 0 closes the connection."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = [(200, {})]
        self.keys: list[str] = []

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Receive the call."""
        self.keys.append(request.headers.get("idempotency-key", ""))
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status:
            exchange.send_json(status, {"status": status}, headers)
        else:
            exchange.cut()


class RetriedRuns(RunDriver):
    """Runs that call one tool, or that use a provider's model."""

    def __init__(self, stores: Stores, tool: Tool, server: LoopbackServer) -> None:
        self.tool = tool
        self.circuits = CircuitBreakers()
        worker = WorkerDeps(
            stores=stores,
            model_for=lambda used: CircuitBreakerModel(
                model_for(used.route, used.script, "key"), self.circuits.of(used.route.model)
            ),
            tools=ToolEnvironment({"API": server.url}, (server.host_and_port,), self.circuits),
            flush_seconds=0,
            reserve_seconds=1,
        )
        super().__init__(stores, worker=worker)

    def start(self, *, effect: str = "none", route: Route | None = None) -> Run:
        """Start a run of an agent with a tool of this effect."""
        tool = {
            "kind": "http",
            "name": "call",
            "description": "Calls.",
            "method": "POST",
            "url": "${API}/x",
            "effect": effect,
            "timeout": 5,
        }
        turns = [{"call": [{"tool": "call", "input": {}}]}, {"say": "{{ results.call.content }}"}]
        return create_run(self.stores, scripted_agent(turns, [tool], route=route))

    def run_step(self, run: Run, seconds: float = 700) -> list[Event]:
        """Run an invocation of run_step; return the log without deltas."""
        self.advance(run, seconds)
        return self.events(run)


@pytest.fixture
def driver(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetriedRuns]:
    """Yield a driver without delays, except those that a response requests."""
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.01)
    tool = Tool()
    with LoopbackServer(tool) as server:
        yield RetriedRuns(stores, tool, server)


def outcome(events: list[Event]) -> dict[str, Any]:
    """Return the result of the only call; it started once, for any number of attempts."""
    types = [event.type for event in events]
    assert types.count("agent.tool_call.started") == 1
    [end] = [e for e in events if e.type in ("agent.tool_call.completed", "agent.tool_call.failed")]
    return dict(end.data)


@pytest.mark.parametrize("effect", ["none", "idempotent"])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_repeatable_call_is_retried_after_a_transient_failure(
    driver: RetriedRuns, effect: str, status: int
) -> None:
    driver.tool.answers = [(status, {}), (status, {}), (200, {})]
    events = driver.run_step(driver.start(effect=effect))
    assert json.loads(outcome(events)["result"]) == {"status": 200}
    assert len(driver.tool.keys) == 3
    assert len(set(driver.tool.keys)) == 1


@pytest.mark.parametrize(
    ("effect", "status", "calls"),
    [("unsafe", 503, 1), ("unsafe", 429, 1), ("none", 500, 1), ("none", 404, 1), ("none", 503, 3)],
)
def test_permanent_failures_and_unrepeatable_calls_are_reported_to_the_model(
    driver: RetriedRuns, effect: str, status: int, calls: int
) -> None:
    driver.tool.answers = [(status, {})]
    events = driver.run_step(driver.start(effect=effect))
    assert outcome(events)["error"]["code"] == f"http_{status}"
    assert len(driver.tool.keys) == calls
    assert events[-1].type == "run.completed"


@pytest.mark.parametrize("status", [0, 502, 504])
@pytest.mark.parametrize(("said", "calls"), [("repeat", 2), ("skip", 1), ("fail", 1)])
def test_a_person_decides_about_an_unsafe_call_without_a_known_result(
    driver: RetriedRuns, status: int, said: str, calls: int
) -> None:
    driver.tool.answers = [(status, {}), (200, {})]
    run = driver.start(effect="unsafe")
    assert driver.run_step(run)[-1].type == "agent.tool_call.started"
    assert ask(driver.stores, run.current_execution)
    [request] = driver.stores.input_requests.open_of_run(run.id)
    assert request.params["choices"] == ["repeat", "skip", "fail"]
    answer = Answer(type=request.type, request_id=request.id, feedback=said)
    submit_input(driver.stores, driver.orchestrator, run.id, answer, "user-1")
    events = driver.run_step(run)
    assert len(driver.tool.keys) == calls
    assert events[-1].type == ("run.failed" if said == "fail" else "run.completed")
    if said == "repeat":
        assert json.loads(outcome(events)["result"]) == {"status": 200}
    elif said == "skip":
        assert outcome(events)["error"]["code"] == "skipped"


def test_a_call_that_was_never_sent_is_not_in_doubt(driver: RetriedRuns) -> None:
    with LoopbackServer(Tool()) as server:
        dead = ToolEnvironment({"API": server.url}, (server.host_and_port,))
    driver.worker = scripted_worker(driver.stores, dead)
    assert outcome(driver.run_step(driver.start(effect="unsafe")))["error"]["code"] == "unreachable"


def retries_of(events: list[Event]) -> list[dict[str, Any]]:
    """Return the data of the retries in the log; their order and attempts are valid."""
    assert find_retry_violations(events) == []
    return [dict(event.data) for event in events if event.type == "run.retrying"]


def test_each_retry_of_a_tool_is_recorded_before_its_wait(driver: RetriedRuns) -> None:
    driver.tool.answers = [(503, {}), (429, {"retry-after": "1"}), (200, {})]
    run = driver.start()
    events = driver.run_step(run)
    first, second = retries_of(events)
    [started] = [event for event in events if event.type == "agent.tool_call.started"]
    call = {"id": run.id, "object": "run", "what": "tool", "name": "call"}
    call["tool_call_id"] = started.data["id"]
    at = first.pop("next_at")
    assert first == {**call, "attempt": 1, "code": "http_503"}
    assert second.pop("next_at") > at
    assert second == {**call, "attempt": 2, "code": "http_429"}
    recorded = [event for event in events if event.type == "run.retrying"][1]
    [done] = [event for event in events if event.type == "agent.tool_call.completed"]
    waited = parse(done.timestamp) - parse(recorded.timestamp)
    assert waited.total_seconds() >= 1


def test_the_last_failure_of_a_call_is_no_retry(driver: RetriedRuns) -> None:
    driver.tool.answers = [(503, {})]
    events = driver.run_step(driver.start())
    assert [data["attempt"] for data in retries_of(events)] == [1, 2]
    driver.tool.answers = [(503, {})]
    assert retries_of(driver.run_step(driver.start(effect="unsafe"))) == []


class LostWorkerError(Exception):
    """The worker is lost during a wait."""


def test_attempts_continue_after_a_crash_during_the_wait(
    driver: RetriedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_worker(_: float) -> None:
        raise LostWorkerError

    driver.tool.answers = [(503, {}), (503, {}), (200, {})]
    run = driver.start()
    with monkeypatch.context() as patch:
        patch.setattr(retries, "sleep", lose_worker)
        for _ in range(2):
            with pytest.raises(LostWorkerError):
                driver.advance(run)
    events = driver.run_step(run)
    assert [data["attempt"] for data in retries_of(events)] == [1, 2]
    assert [event.type for event in events if event.type.startswith("run.re")] == [
        "run.retrying",
        "run.recovered",
        "run.retrying",
        "run.recovered",
    ]
    assert json.loads(outcome(events)["result"]) == {"status": 200}


def test_a_superseded_worker_records_no_retry_and_makes_no_call(driver: RetriedRuns) -> None:
    run = driver.start()
    calls = driver.tool

    def recover_first(request: Received, exchange: Exchange) -> None:
        journal = Journal.open(driver.stores, run.id)
        journal.append([journal.recovered_event("step_interrupted")])
        calls(request, exchange)

    driver.tool.answers = [(503, {})]
    with LoopbackServer(recover_first) as server:
        address = (server.host_and_port,)
        driver.worker = replace(driver.worker, tools=ToolEnvironment({"API": server.url}, address))
        with pytest.raises(SupersededError):
            driver.advance(run)
    assert len(calls.keys) == 1
    events = driver.events(run)
    assert events[-1].type == "run.recovered"
    assert retries_of(events) == []


def test_a_wait_for_the_state_machine_is_a_retry_without_a_time(driver: RetriedRuns) -> None:
    busy = ProviderFailure(503)
    with OpenAIServer(*[busy] * 4, ChatResponse(["Here."], finish_reason="stop")) as server:
        run = driver.start(route=Route(model="openai:gpt", base_url=server.base_url))
        with pytest.raises(ModelUnavailableError):
            driver.advance(run)
        events = driver.run_step(run)
    found = retries_of(events)
    assert [data["attempt"] for data in found] == [1, 2, 3, 4]
    assert ["next_at" in data for data in found] == [True, True, False, True]
    assert {(data["what"], data["name"], data["code"]) for data in found} == {
        ("model", "gpt", "overloaded")
    }
    assert events[-1].type == "run.completed"
    # Only a call in doubt is recovered: here no call was recorded.
    assert "run.recovered" not in [event.type for event in events]


def test_retry_after_of_a_tool_is_respected(driver: RetriedRuns) -> None:
    driver.tool.answers = [(429, {"retry-after": "1"}), (200, {})]
    started = time.monotonic()
    assert "result" in outcome(driver.run_step(driver.start()))
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("3600", 700), ("Wed, 21 Oct 2099 07:28:00 GMT", 700), ("4", 10)]
)
def test_a_tool_with_a_retry_after_beyond_the_step_is_not_retried(
    driver: RetriedRuns, retry_after: str, seconds: float
) -> None:
    """The step has 10 seconds: a call may take 5 of them and its record 1."""
    driver.worker = WorkerDeps(
        driver.stores, driver.worker.model_for, driver.worker.tools, reserve_seconds=1
    )
    driver.tool.answers = [(429, {"retry-after": retry_after}), (200, {})]
    run = driver.start(route=Route(model="scripted:scripted", timeout=1))
    assert outcome(driver.run_step(run, seconds))["error"]["code"] == "http_429"
    assert len(driver.tool.keys) == 1


def test_the_circuit_opens_for_a_dead_host(driver: RetriedRuns) -> None:
    driver.tool.answers = [(0, {})]
    driver.run_step(driver.start())
    driver.run_step(driver.start())
    calls = len(driver.tool.keys)
    assert FAILURES_IN_A_ROW <= calls <= FAILURES_IN_A_ROW + 1
    error = outcome(driver.run_step(driver.start(effect="unsafe")))["error"]
    assert error["code"] == "unavailable"
    assert "Not tried again, after" in error["message"]
    assert "unreachable" in error["message"]
    assert len(driver.tool.keys) == calls


def test_error_responses_do_not_open_the_circuit(driver: RetriedRuns) -> None:
    driver.tool.answers = [(503, {})]
    for _ in range(FAILURES_IN_A_ROW):
        driver.run_step(driver.start(effect="unsafe"))
    driver.tool.answers = [(200, {})]
    assert "result" in outcome(driver.run_step(driver.start(effect="unsafe")))


def test_retry_after_of_a_provider_is_respected(driver: RetriedRuns) -> None:
    with OpenAIServer(
        ProviderFailure(429, retry_after="1"), ChatResponse(["Here."], finish_reason="stop")
    ) as server:
        run = driver.start(route=Route(model="openai:gpt", base_url=server.base_url))
        started = time.monotonic()
        events = driver.run_step(run)
    assert time.monotonic() - started >= 1
    assert events[-1].data["output"] == {"content": "Here."}


def test_a_run_whose_provider_stays_unreachable_reports_the_error_and_its_time(
    driver: RetriedRuns,
) -> None:
    with OpenAIServer(choose=lambda _: ProviderFailure(503)) as server:
        route = Route(model="openai:gpt", base_url=server.base_url)
        run, other = driver.start(route=route), driver.start(route=route)
        with pytest.raises(ModelUnavailableError, match="Tried last at 2"):
            driver.run_step(run)
        with pytest.raises(ModelUnavailableError):
            driver.run_step(other)
        asked = len(server.received)
        with pytest.raises(ModelUnavailableError, match="Not tried again, after") as caught:
            driver.run_step(run)
        assert len(server.received) == asked == FAILURES_IN_A_ROW
    # The retries of the state machine are used up; Step Functions reports the error of Lambda.
    text = encode_cause(str(caught.value), caught.value.provider)
    cause = {"errorMessage": text, "errorType": "ModelUnavailableError"}
    close_run(
        driver.stores, run.current_execution, "ModelUnavailableError", cause=json.dumps(cause)
    )
    error = driver.events(run)[-1].data["error"]
    assert error["code"] == "model_unavailable"
    assert "The provider" in error["message"]
    assert "HTTP 503" in error["message"]
    assert "Tried last at 2" in error["message"]
    assert error["provider"] == {"status": 503, "message": "The provider's own words."}


def test_a_rejected_request_shows_the_words_of_the_provider(driver: RetriedRuns) -> None:
    failure = ProviderFailure(400, "bad_tool", "The tool is wrong. Your key is sk-abcdef123456.")
    with OpenAIServer(failure) as server:
        run = driver.start(route=Route(model="openai:gpt", base_url=server.base_url))
        error = driver.run_step(run)[-1].data["error"]
    assert error["code"] == "model_rejected"
    assert error["provider"] == {
        "status": 400,
        "code": "bad_tool",
        "message": "The tool is wrong. Your key is [masked].",
    }


def test_a_provider_that_asks_for_a_long_wait_fails_the_run_at_once(driver: RetriedRuns) -> None:
    failure = ProviderFailure(429, "rate_limit_exceeded", "Slow down.", retry_after="3600")
    with OpenAIServer(failure) as server:
        run = driver.start(route=Route(model="openai:gpt", base_url=server.base_url))
        events = driver.run_step(run)
        assert len(server.received) == 1
    error = events[-1].data["error"]
    assert error["code"] == "model_unavailable"
    assert "The provider asks to wait until 2" in error["message"]
    assert error["provider"]["status"] == 429


def test_a_shorter_wait_is_left_to_the_state_machine(driver: RetriedRuns) -> None:
    failure = ProviderFailure(429, "rate_limit_exceeded", "Slow down.", retry_after="400")
    with OpenAIServer(failure) as server:
        run = driver.start(route=Route(model="openai:gpt", base_url=server.base_url))
        with pytest.raises(ModelUnavailableError):
            driver.run_step(run)
    assert driver.events(run)[-1].type != "run.failed"


@pytest.mark.parametrize("cause", ["", "no JSON", "[]", '{"errorMessage": 1}', "null"])
def test_a_cause_without_a_message_gets_a_standard_message(driver: RetriedRuns, cause: str) -> None:
    run = driver.start()
    close_run(driver.stores, run.current_execution, "ModelUnavailableError", cause=cause)
    assert driver.events(run)[-1].data["error"] == {
        "code": "model_unavailable",
        "message": "The model could not be reached.",
    }


def test_messages_of_unexpected_errors_are_not_exposed(driver: RetriedRuns) -> None:
    run = driver.start()
    close_run(
        driver.stores,
        run.current_execution,
        "KeyError",
        cause='{"errorMessage": "a customer\'s name"}',
    )
    assert (
        driver.events(run)[-1].data["error"]["message"]
        == "The run stopped because of an internal error."
    )


@pytest.mark.parametrize(
    ("error_name", "cause", "error_id"),
    [
        (
            "KeyError",
            '{"errorMessage": "x", "requestId": "failed-invocation"}',
            "failed-invocation",
        ),
        ("KeyError", '{"errorMessage": "x"}', "closing-invocation"),
        ("ExecutionFailed", "", "closing-invocation"),
    ],
)
def test_an_internal_error_has_an_id_that_finds_it_in_the_log(
    driver: RetriedRuns,
    caplog: pytest.LogCaptureFixture,
    error_name: str,
    cause: str,
    error_id: str,
) -> None:
    run = driver.start()
    execution = run.current_execution
    close_run(driver.stores, execution, error_name, cause, request_id="closing-invocation")
    assert driver.events(run)[-1].data["error"]["error_id"] == error_id
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert (record.__dict__["run_id"], record.__dict__["error_id"]) == (run.id, error_id)


def test_a_known_error_has_no_error_id(driver: RetriedRuns) -> None:
    run = driver.start()
    close_run(driver.stores, run.current_execution, "States.Timeout", "{}", request_id="x")
    assert set(driver.events(run)[-1].data["error"]) == {"code", "message"}


def test_the_state_machine_forwards_the_error_of_a_function(stack: DevStack) -> None:
    """Read the error from the history of an execution of an unknown run."""
    client, machine = stack.client("stepfunctions"), stack.environment["RUN_STATE_MACHINE_ARN"]
    run_id = new_id()
    arn = client.start_execution(
        stateMachineArn=machine, name=run_id, input=json.dumps({"run_id": run_id})
    )["executionArn"]
    failed = []
    for _ in range(400):
        events = client.get_execution_history(executionArn=arn)["events"]
        failed = [event for event in events if event["type"] == "TaskFailed"]
        if failed:
            break
        time.sleep(0.02)
    client.stop_execution(executionArn=arn)
    details = failed[0]["taskFailedEventDetails"]
    assert details["error"] == "NotFoundError"
    assert "errorMessage" in json.loads(details["cause"])
