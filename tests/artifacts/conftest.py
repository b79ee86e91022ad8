"""The built functions, each started once, on a local stack whose agents the built one published."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.built_functions import (
    BuiltFunction,
    functions,
    lacking,
    started,
    variables_of,
)
from runyard_dev.dev_stack import DevStack
from tests.support.servers.loopback import LoopbackServer

# The function and the payload's name in `events/`, and what is changed in its text.
Invoke = Callable[..., Any]
NO_CHANGES: Mapping[str, str] = {}


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """DynamoDB, S3, Secrets Manager, Step Functions."""
    if command := lacking():
        pytest.skip(f"nothing is built: `{command}`")
    folder = tmp_path_factory.mktemp("artifacts")
    key = "ry_dev_key"  # The key in `events/`.
    with DevStack.start(data_dir=folder, web=False, key=key, sweep_seconds=None) as stack:
        yield stack


@pytest.fixture(scope="session")
def invoke(emulators: DevStack) -> Iterator[Invoke]:
    """Return a function that invokes a built function with `events/<function>/<payload>.json`."""
    built, running = functions(), dict[str, BuiltFunction]()
    with ExitStack() as undo:

        def invoked(payload: str, changes: Mapping[str, str] = NO_CHANGES) -> Any:
            name = payload.partition("/")[0]
            if name not in running:
                variables = variables_of(built[name], emulators.environment)
                running[name] = undo.enter_context(started(built[name], variables))
            text = Path("events", f"{payload}.json").read_text(encoding="utf-8")
            for old, new in changes.items():
                text = text.replace(old, new)
            return running[name].invoke(json.loads(text)).payload

        yield invoked


@pytest.fixture(scope="session")
def published(invoke: Invoke) -> Any:
    """The response of the built publisher to CloudFormation."""
    with LoopbackServer(lambda _, exchange: exchange.send(200)) as cloudformation:
        address = json.loads(Path("events/publish_agents/create.json").read_text(encoding="utf-8"))
        invoke("publish_agents/create", {address["ResponseURL"]: cloudformation.url})
        [request] = cloudformation.received
    return request.json
