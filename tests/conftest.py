"""What the suites share: one local stack for the session, and the service that runs on it."""

import os
from collections.abc import Iterator

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from tests.support.merged_agents import merged_agents
from tests.support.servers.strict_dynamodb import plugin
from tests.support.service import Service

# Every DynamoDB client checks DynamoDB's rules: in this process, and in the processes of each local
# stack, which take the environment from here. A deployed stack has the rules of its own DynamoDB.
if not os.environ.get("STACK"):
    plugin.enable()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """The whole local stack, with the sample agents and those of `tests/agents`."""
    folder = tmp_path_factory.mktemp("stack")
    with DevStack.start(
        data_dir=folder,
        agents_dir=merged_agents(folder / "agents"),
        key="ry_dev_key",  # The key in `events/`.
        environment={"STREAM_HEARTBEAT_SECONDS": "0.3"},
        # Generated requests register endpoints of anybody; test_webhooks.py has a stack of its own.
        event_sources=False,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def stores(stack: DevStack) -> Stores:
    """The stack's stores, spoken to without the service in between."""
    return stores_of(stack.environment)


@pytest.fixture(scope="session")
def service(stack: DevStack) -> Iterator[Service]:
    """The service that runs on it. The end-to-end tests have a fixture of their own."""
    running = Service(stack.base_url, stack.access_key)
    yield running
    running.close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio, as the service does."""
    return "asyncio"
