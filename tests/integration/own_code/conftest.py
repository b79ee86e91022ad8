"""Provide runs of agents in the user's own code, with Lambda's Invoke API on loopback."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from runyard import agent
from runyard.durable.handler import Agent
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, FallbackRoute
from runyard_service.agents.lambda_client import lambda_client
from runyard_service.application.own_code import code_run
from runyard_service.domain import clock, input_requests
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

LOOK = {
    "name": "look",
    "kind": "python",
    "function": "tests.integration.own_code.conftest:look",
    "description": "Look something up.",
    "effect": "none",
    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
}

MoveClock = Callable[[float], None]
_TURNS = ({"say": "Hello."},)


def look(q: str) -> str:
    """Return a result of the tool `look`."""
    return f"found {q}"


class LambdaEndpoint(LoopbackServer):
    """Lambda with one function, whose code a test can replace.

    An empty `version` means that there is none. `failures` are the error types of the next
    invocations, after which the code has run.
    """

    def __init__(self) -> None:
        self.code: Any = None
        self.sha256 = "first"
        self.version = "7"
        self.invocations: list[Mapping[str, Any]] = []
        self.failures: list[str] = []
        super().__init__(self._answer)

    def _answer(self, received: Received, exchange: Exchange) -> None:
        if received.method == "GET":
            found = {"Version": self.version, "CodeSha256": self.sha256}
            missing = {"Type": "User", "Message": "Function not found"}
            error = {"X-Amzn-Errortype": "ResourceNotFoundException"}
            exchange.send_json(*((200, found) if self.version else (404, missing, error)))
            return
        self.invocations.append(received.json)
        response = json.loads(json.dumps(self.code(received.json)))
        if self.failures:
            error = {"errorType": self.failures.pop(0), "errorMessage": "stopped"}
            exchange.send_json(200, error, {"X-Amz-Function-Error": "Unhandled"})
            return
        exchange.send_json(200, response)


class CodeRuns(RunDriver):
    """Runs of an agent of kind `code`."""

    def __init__(self, stores: Stores, endpoint: LambdaEndpoint) -> None:
        super().__init__(stores)
        self.endpoint = endpoint

    def start(
        self,
        code: Callable[..., Any] | Agent,
        turns: Sequence[Any] = _TURNS,
        routes: Sequence[FallbackRoute] = (),
        record: Mapping[str, Any] = MappingProxyType({}),
        **fields: Any,
    ) -> Run:
        """Create a run of this code; `fields` are those of the definition.

        `turns` are the responses of its model, `routes` its other routes, and `record` has fields
        of the run.
        """
        self.endpoint.code = code if isinstance(code, Agent) else agent(code)
        snapshot = scripted_agent(turns, [LOOK])
        stored = snapshot.definition.model_dump(mode="json", exclude_unset=True)
        definition = AgentDefinition.model_validate(
            {**stored, "kind": "code", "function": "runyard-agent-test", **fields}
        )
        changes = {"definition": definition, "other_routes": tuple(routes)}
        return create_run(self.stores, snapshot.model_copy(update=changes), **record)

    def finish(self, run: Run) -> Event:
        """Advance the run to its end, and return its last event."""
        assert self.advance(run).outcome == "finished"
        return self.events(run)[-1]


@pytest.fixture
def code_runs(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[CodeRuns]:
    """Yield the runs, with a Lambda endpoint of their own."""
    lambda_client.cache_clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with LambdaEndpoint() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint.url)
        yield CodeRuns(stores, endpoint)
        if isinstance(endpoint.code, Agent):
            endpoint.code.release()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> MoveClock:
    """Return a function that moves the clock of the service to a number of seconds from now."""

    def move(seconds: float) -> None:
        def then() -> datetime:
            return datetime.now(UTC) + timedelta(seconds=seconds)

        for module in (clock, code_run, input_requests):
            monkeypatch.setattr(module, "now", then)

    return move
