"""Test the custom resource of the deployment: requests of CloudFormation, and the responses."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY, AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import AgentDirectory
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

FUNCTION = "runyard-publish-agents-function"


class CloudFormation(LoopbackServer):
    """Accepts responses to CloudFormation, after rejecting the first `failures` of them."""

    def __init__(self, failures: int = 0) -> None:
        self._failures = failures
        super().__init__(self._take)

    def _take(self, received: Received, exchange: Exchange) -> None:
        exchange.send(503 if len(self.received) <= self._failures else 200)

    @property
    def answer(self) -> dict[str, Any]:
        """Return the only response that was accepted."""
        taken = self.received[self._failures :]
        assert len(taken) == 1
        found: dict[str, Any] = taken[0].json
        return found


def invoke(stack: DevStack, server: LoopbackServer, payload: str, **fields: Any) -> Any:
    """Return the result of Lambda for `events/publish_agents/<payload>.json` with these fields."""
    text = Path("events", "publish_agents", f"{payload}.json").read_text(encoding="utf-8")
    event = {**json.loads(text), "ResponseURL": f"{server.url}/answer?signature=0", **fields}
    answer = stack.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


@pytest.fixture
def folder(stack: DevStack) -> Path:
    return Path(stack.environment["AGENTS_DIR"])


@pytest.fixture
def bundle(stack: DevStack) -> AgentBundle:
    """Yield the published agents, replaced by a sentinel of this test."""
    bundle = AgentBundle(
        Bucket(stack.environment["BUCKET"], lambda: stack.client("s3")), BUNDLE_KEY
    )
    bundle.write({"sentinel": "untouched"})
    return bundle


@contextmanager
def add_file(file: Path, text: str) -> Iterator[None]:
    """Write a file, and delete it afterwards."""
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()


def test_agents_are_published_and_the_deployment_continues(
    stack: DevStack, folder: Path, bundle: AgentBundle
) -> None:
    with CloudFormation() as server:
        assert invoke(stack, server, "create") is None
        assert server.answer == {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "agents",
            "StackId": server.answer["StackId"],
            "RequestId": "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a002",
            "LogicalResourceId": "PublishedAgents",
        }
        assert (server.received[0].method, server.received[0].path) == (
            "PUT",
            "/answer?signature=0",
        )
        # With a content type, the signature of the real address would be invalid.
        assert server.received[0].headers.get("content-type", "") == ""
    assert bundle.read() == AgentDirectory(folder).read()


def test_an_update_does_not_change_the_physical_resource_id(
    stack: DevStack, bundle: AgentBundle
) -> None:
    with CloudFormation() as server:
        invoke(stack, server, "create", RequestType="Update", PhysicalResourceId="older-name")
        assert server.answer["Status"] == "SUCCESS"
        assert server.answer["PhysicalResourceId"] == "older-name"
    assert "routes.yaml" in bundle.read()


def test_agents_remain_after_the_stack_is_deleted(stack: DevStack, bundle: AgentBundle) -> None:
    with CloudFormation() as server:
        invoke(stack, server, "delete")
        assert server.answer["Status"] == "SUCCESS"
    assert bundle.read() == {"sentinel": "untouched"}


def test_an_invalid_file_fails_the_deployment_with_file_line_and_field(
    stack: DevStack, folder: Path, bundle: AgentBundle
) -> None:
    with CloudFormation() as server, add_file(folder / "faulty.yaml", "key: faulty\nversion: 1\n"):
        assert invoke(stack, server, "create") is None
        assert server.answer["Status"] == "FAILED"
        assert "faulty.yaml, line 1: route: is required" in server.answer["Reason"].splitlines()
        assert "faulty.yaml, line 2: version: must be a text" in server.answer["Reason"]
    assert bundle.read() == {"sentinel": "untouched"}


def test_a_long_list_of_validation_errors_is_truncated(
    stack: DevStack, folder: Path, bundle: AgentBundle
) -> None:
    fields = "".join(f"field_ü_{n}: 1\n" for n in range(500))
    with CloudFormation() as server, add_file(folder / "faulty.yaml", fields):
        invoke(stack, server, "create")
        assert len(server.received[0].body) < 4096
        *issues, last = server.answer["Reason"].splitlines()
    assert len(issues) > 10
    assert ": is not a known field" in issues[-1]
    assert "make check-agents" in last


def test_an_unexpected_failure_is_also_reported(stack: DevStack, bundle: AgentBundle) -> None:
    text = Path("events/publish_agents/create.json").read_text(encoding="utf-8")
    event = {name: value for name, value in json.loads(text).items() if name != "RequestType"}
    with CloudFormation() as server:
        event["ResponseURL"] = server.url
        stack.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
        assert server.answer["Status"] == "FAILED"
        assert server.answer["Reason"] == "KeyError; the function's log says more"
    assert bundle.read() == {"sentinel": "untouched"}


def test_a_broken_layer_is_reported_at_once() -> None:
    """Without a response, CloudFormation waits until its timeout, and again in the rollback."""
    text = Path("events/publish_agents/create.json").read_text(encoding="utf-8")
    with CloudFormation() as server:
        event = {**json.loads(text), "ResponseURL": server.url}
        code = (
            "import json, sys\n"
            "sys.modules['runyard_service'] = None\n"
            "import handler\n"
            "handler.lambda_handler(json.load(sys.stdin), None)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd="functions/publish_agents",
            env={"PATH": os.environ["PATH"]},
            input=json.dumps(event),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert server.answer["Status"] == "FAILED"
        assert server.answer["Reason"].startswith("ModuleNotFoundError (No module named")


def test_a_response_that_is_not_accepted_is_sent_again(
    stack: DevStack, bundle: AgentBundle
) -> None:
    with CloudFormation(failures=2) as server:
        assert invoke(stack, server, "create") is None
        assert server.answer["Status"] == "SUCCESS"


def test_a_response_that_is_never_accepted_is_retried_by_lambda(
    stack: DevStack, bundle: AgentBundle
) -> None:
    with CloudFormation(failures=9) as server:
        failure = invoke(stack, server, "create")
        assert failure["errorType"] == "HTTPError"
        assert len(server.received) == 3
        assert "signature" not in json.dumps(failure)
