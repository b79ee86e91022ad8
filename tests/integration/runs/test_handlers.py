"""Test the handler of each function with the payloads in `events/`, as Lambda invokes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.run_factory import create_run

FUNCTIONS = {
    "api": "runyard-api-function",
    "run_step": "runyard-run-step-function",
    "request_input": "runyard-request-input-function",
    "close_run": "runyard-close-run-function",
    "sweep": "runyard-sweep-function",
    "publish_events": "runyard-publish-events-function",
    "deliver_webhook": "runyard-deliver-webhook-function",
    "publish_agents": "runyard-publish-agents-function",  # In test_publish_agents.py.
}
UNKNOWN = "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001"


def invoke(stack: DevStack, payload: str, run_id: str = UNKNOWN) -> Any:
    """Return the result of the function for `events/<payload>.json`, with another run if given."""
    text = Path("events", f"{payload}.json").read_text(encoding="utf-8").replace(UNKNOWN, run_id)
    function = FUNCTIONS[payload.partition("/")[0]]
    answer = stack.client("lambda").invoke(FunctionName=function, Payload=text.encode())
    return json.loads(answer["Payload"].read())


def test_every_payload_is_used() -> None:
    known = {path.relative_to("events").parts[0] for path in Path("events").glob("*/*.json")}
    assert known == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ("api/health", 200),
        ("api/create_run", 202),
        ("api/create_run_blank", 400),
        ("api/get_unknown_run", 404),
    ],
)
def test_the_api_responds_to_api_gateway_events(stack: DevStack, payload: str, status: int) -> None:
    answer = invoke(stack, payload)
    assert answer["statusCode"] == status
    assert answer["headers"]["x-request-id"]
    assert answer["headers"]["content-type"] == "application/json"
    assert json.loads(answer["body"])


@pytest.mark.parametrize("payload", ["run_step/advance", "request_input/wait"])
def test_an_unknown_run_is_a_named_error(stack: DevStack, payload: str) -> None:
    assert invoke(stack, payload)["errorType"] == "NotFoundError"


def test_a_deleted_run_is_closed_without_an_error(stack: DevStack) -> None:
    """Its execution may have waited longer; no alarm must be raised for it."""
    assert invoke(stack, "close_run/caught") is None


@pytest.mark.parametrize(
    ("payload", "code"),
    [("close_run/caught", "timed_out"), ("close_run/execution_aborted", "aborted")],
)
def test_a_run_is_closed_once(stack: DevStack, stores: Stores, payload: str, code: str) -> None:
    run = create_run(stores)
    for _ in range(2):
        assert invoke(stack, payload, run.id) is None
    closed = stores.runs.get(run.id)
    assert closed is not None
    assert (closed.status, closed.error and closed.error["code"]) == ("failed", code)
    assert stores.log.last(run.id) == (1, True)


def test_the_wait_of_an_ended_run_ends(stack: DevStack, stores: Stores) -> None:
    """The token is from no state machine of this stack: that is also no error."""
    run = create_run(stores)
    invoke(stack, "close_run/caught", run.id)
    assert invoke(stack, "request_input/wait", run.id) is None
    assert stores.input_requests.of_run(run.id) == []


def test_the_sweep_starts_a_run_that_was_never_started(stack: DevStack, stores: Stores) -> None:
    run = create_run(stores)
    counts = invoke(stack, "sweep/everything")
    assert counts["restarted"] >= 1
    recovered = stores.runs.get(run.id)
    assert recovered is not None
    assert next(iter(stores.log.events(run.id))).type == "run.recovered"


@pytest.mark.parametrize("payload", ["publish_events/batch", "deliver_webhook/batch"])
def test_messages_about_deleted_records_are_discarded(stack: DevStack, payload: str) -> None:
    """Nothing is published for a deleted run, and a deleted delivery is not made."""
    assert invoke(stack, payload) == {"batchItemFailures": []}
