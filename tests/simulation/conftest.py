"""The systems of the simulations: the real store, on tables that no other test sweeps."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.clients import client
from runyard_dev.dev_stack import REPOSITORY, DevStack
from runyard_dev.template.template import read_template
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.steps import retries
from runyard_service.domain import clock
from tests.simulation.fake_clock import FakeClock
from tests.simulation.simulation import Simulation, Systems
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.payment_server import FakePaymentServer
from tests.support.servers.step_functions_server import step_functions_server
from tests.support.state_machines import StateMachines, arn_of

_ACTIONS = "simulated actions"


@pytest.fixture(scope="module")
def systems(stack: DevStack) -> Iterator[Systems]:
    """Yield the store, the state machines and the payment server of all simulations."""
    dynamodb = stack.client("dynamodb")
    template = read_template(Path(REPOSITORY) / "template.yaml", region="us-east-1")
    environment = stack.environment
    names = {}
    for table in template.tables:
        names[table.name] = f"{table.name}-interleavings"
        dynamodb.create_table(**{**table.arguments, "TableName": names[table.name]})

    def open_stores(dynamodb_client: Any) -> Stores:
        return Stores.create(
            dynamodb_client,
            Bucket(environment["BUCKET"], lambda: stack.client("s3")),
            events_table=names[environment["EVENTS_TABLE"]],
            records_table=names[environment["RECORDS_TABLE"]],
        )

    machines, payment_server = StateMachines(), FakePaymentServer()
    with (
        step_functions_server(machines) as step_functions,
        LoopbackServer(payment_server) as payments,
    ):
        endpoint = {"AWS_ENDPOINT_URL_SFN": step_functions.url}
        step_functions_client = client("stepfunctions", {**environment, **endpoint})
        yield Systems(
            dynamodb=client("dynamodb", environment),
            open_stores=open_stores,
            state_machines=machines,
            orchestrator=Orchestrator(
                lambda: step_functions_client, arn_of("run"), arn_of("resume")
            ),
            payment_server=payment_server,
            tools=ToolEnvironment({"PAYMENTS_URL": payments.url}, (payments.host_and_port,)),
        )
    for name in names.values():
        dynamodb.delete_table(TableName=name)


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the clock of the service by `FakeClock`."""
    # The service reads the clock only in this module.
    monkeypatch.setattr(clock, "datetime", FakeClock)
    # Retries of a step follow without a delay.
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0)
    yield
    FakeClock.ahead = timedelta()


@pytest.fixture
def new_simulation(
    systems: Systems, record_property: Callable[[str, object], None]
) -> Iterator[Callable[[], Simulation]]:
    """Yield a function that starts a simulation; report the actions of all its simulations."""
    actions: Counter[str] = Counter()

    yield lambda: Simulation(systems, actions)
    record_property(_ACTIONS, dict(actions))


@pytest.fixture
def simulation(new_simulation: Callable[[], Simulation]) -> Simulation:
    """Return one simulation."""
    return new_simulation()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of actions; with pytest-xdist, of all worker processes."""
    actions: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, counts in getattr(report, "user_properties", ()):
                if name == _ACTIONS:
                    actions.update(counts)
    if actions:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(actions.items()))
        terminalreporter.write_line(f"simulation: {actions.total():,} actions: {kinds}")
