"""Each function from `.aws-sam/build`, under AWS's own runtime emulator and Python 3.13.

The streaming endpoint has a test of its own: what starts it is its `run.sh`.
"""

import json
import os
import socket
from typing import Any

import pytest

from benchmarks.built_functions import functions, listens
from runyard_dev.dev_stack import REPOSITORY, DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.domain.runs import Run
from tests.artifacts.conftest import Invoke
from tests.support.run_factory import create_run

UNKNOWN = "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001"
# What `events/` names: the machine of a local stack.
NAMED_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:runyard-resume-state-machine"


@pytest.fixture(scope="module")
def built_stores(emulators: DevStack) -> Stores:
    """What the functions write to."""
    return stores_of(emulators.environment)


def idle_run(stores: Stores) -> Run:
    """A run of the sample agent that asks a person, and that no worker has started."""
    snapshot = Registry(AgentDirectory(REPOSITORY / "agents")).agent("support_triage")
    ticket = {"ticket_subject": "A bill", "ticket_body": "I was charged twice"}
    return create_run(stores, snapshot, input=ticket)


@pytest.fixture(scope="module")
def machine_that_waits(emulators: DevStack) -> str:
    """A state machine that calls no function: the test does what the real one would do."""
    wait = {"Type": "Wait", "Seconds": 1, "End": True}
    definition = {"StartAt": "Wait", "States": {"Wait": wait}}
    made = emulators.client("stepfunctions").create_state_machine(
        name="waits",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::123456789012:role/waits",
    )
    return str(made["stateMachineArn"])


def test_every_function_is_built(emulators: DevStack) -> None:
    named = {path.name for path in (REPOSITORY / "functions").iterdir() if any(path.iterdir())}
    assert set(functions()) == named
    for function in functions().values():
        assert (function.code_dir / function.handler.replace(".lambda_handler", ".py")).exists()


def test_the_publisher_publishes(published: Any) -> None:
    assert published["Status"] == "SUCCESS", published["Reason"]


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ("api/health", 200),
        ("api/create_run", 202),
        ("api/create_run_blank", 400),
        ("api/create_run_stream", 303),
        ("api/get_unknown_run", 404),
    ],
)
@pytest.mark.usefixtures("published")
def test_the_api_answers(invoke: Invoke, payload: str, status: int) -> None:
    answer = invoke(payload)
    assert answer["statusCode"] == status, answer
    assert answer["headers"]["x-request-id"]


def test_a_run_is_executed_to_its_input_request_and_closed(
    invoke: Invoke, built_stores: Stores, machine_that_waits: str
) -> None:
    run = idle_run(built_stores)
    mine = {UNKNOWN: run.id, NAMED_MACHINE: machine_that_waits}

    advanced = invoke("run_step/advance", mine)
    assert advanced == {"outcome": "needs_input"}, advanced

    last, _ = built_stores.log.last(run.id)
    assert (
        invoke("request_input/wait", mine | {'"last_sequence": 0': f'"last_sequence": {last}'})
        is None
    )
    waiting = built_stores.runs.get(run.id)
    assert waiting is not None
    assert waiting.awaits_input
    assert len(built_stores.input_requests.open_of_run(run.id)) == 1

    assert invoke("sweep/everything")["checked"] >= 1

    second = {f'"execution": "{UNKNOWN}"': f'"execution": "{run.id}-1"'}
    assert invoke("close_run/caught", second | mine) is None
    closed = built_stores.runs.get(run.id)
    assert closed is not None
    assert (closed.status, closed.error and closed.error["code"]) == ("failed", "timed_out")


@pytest.mark.parametrize("payload", ["run_step/advance", "request_input/wait"])
def test_an_error_is_reported_by_its_name(invoke: Invoke, payload: str) -> None:
    """The state machine's catch and retry lists go by it."""
    assert invoke(payload)["errorType"] == "NotFoundError"


def test_a_run_that_was_deleted_leaves_nothing_to_close(invoke: Invoke) -> None:
    assert invoke("close_run/caught") is None


def test_a_port_that_another_process_listens_on_is_detected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens(os.getpid(), port)
        assert not listens(os.getppid(), port)
    assert not listens(os.getpid(), port)
