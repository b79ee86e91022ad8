"""The service under test, and direct access to its stores.

The default is the session's local stack. `STACK` names a deployed stack: CloudFormation returns its
URLs and tables, and the session creates a key. `BASE_URL` with `ACCESS_KEY` names any service,
without other access. A test is skipped if the service does not have what the test needs.
"""

import os
from collections.abc import Iterator

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.deployed_stack import DeployedStack
from tests.support.service import Service
from tests.support.threads_service import ThreadsService

# An agent of tests/agents that is not a sample agent; its presence means that all are there.
_ONE_OF_THE_TESTS_AGENTS = "talker"


@pytest.fixture(scope="session")
def deployed() -> DeployedStack | None:
    """Return the stack that `STACK` names, or None."""
    name = os.environ.get("STACK")
    return DeployedStack.read(name) if name else None


@pytest.fixture(scope="session")
def local(request: pytest.FixtureRequest, deployed: DeployedStack | None) -> DevStack:
    """Return the session's local stack, for tests that no other service supports."""
    if deployed or os.environ.get("BASE_URL"):
        pytest.skip("needs an endpoint with its own settings, which only the local stack has")
    stack: DevStack = request.getfixturevalue("stack")
    return stack


@pytest.fixture(scope="session")
def own_stores(request: pytest.FixtureRequest, deployed: DeployedStack | None) -> Stores:
    """Return the stores of the service under test, to create keys."""
    if deployed:
        return deployed.stores
    if os.environ.get("BASE_URL"):
        pytest.skip("needs the store of the service, to make keys in it; STACK names one")
    stores: Stores = request.getfixturevalue("stores")
    return stores


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest, deployed: DeployedStack | None) -> Iterator[Service]:
    """Yield the service under test."""
    if deployed:
        with deployed.access_key(os.environ.get("ACCESS_KEY")) as secret:
            running = Service(deployed.api_url, secret)
            yield running
    elif base_url := os.environ.get("BASE_URL"):
        running = Service(base_url.rstrip("/"), os.environ["ACCESS_KEY"])
        yield running
    else:
        stack: DevStack = request.getfixturevalue("stack")
        running = Service(stack.base_url, stack.access_key)
        yield running
    running.close()


@pytest.fixture(scope="session")
def samples(deployed: DeployedStack | None) -> None:
    """Make the servers available that the sample agents' tools call; `make dev` starts them."""
    if deployed and "CRM_URL" not in deployed.agent_variables:
        pytest.skip(
            f"{deployed.name}'s AgentVariables have no CRM_URL for the sample agents' tools"
        )


@pytest.fixture(scope="session")
def threads_of_tests(service: Service, samples: None) -> Iterator[ThreadsService]:
    """Yield the Threads API of a service that has the agents of `tests/agents`."""
    with ThreadsService(service.base_url, service.access_key) as threads:
        keys = {persona["persona_key"] for persona in threads.get("/personas")}
        if _ONE_OF_THE_TESTS_AGENTS not in keys:
            pytest.skip("needs the agents of tests/agents, which this service does not have")
        yield threads


@pytest.fixture
def project(service: Service, own_stores: Stores) -> Iterator[Service]:
    """Yield the same service with a key of a new project."""
    secret = f"ry_test_{new_id()}"
    own_stores.access_keys.save(secret, project_id=f"project-{new_id()}", org_id="org")
    running = Service(service.base_url, secret)
    yield running
    running.close()
