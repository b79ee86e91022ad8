"""The board that games are played on: the real store, on tables that no other test sweeps."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.clients import client
from runyard_dev.dev_stack import REPOSITORY, DevStack
from runyard_dev.template.template import read_template
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.stores import Stores
from runyard_service.domain import clock
from tests.simulation.fake_clock import FakeClock
from tests.simulation.simulation import FakePaymentServer, Simulation, StoresOver
from tests.support.servers.loopback import LoopbackServer


@pytest.fixture(scope="module")
def stores_over(stack: DevStack) -> Iterator[tuple[Any, StoresOver]]:
    """The store's client, and stores over any client like it."""
    dynamodb = stack.client("dynamodb")
    template = read_template(Path(REPOSITORY) / "template.yaml", region="us-east-1")
    environment = stack.environment
    names = {}
    for table in template.tables:
        names[table.name] = f"{table.name}-interleavings"
        dynamodb.create_table(**{**table.arguments, "TableName": names[table.name]})

    def over(faulty: Any) -> Stores:
        return Stores.create(
            faulty,
            Bucket(environment["BUCKET"], lambda: stack.client("s3")),
            events_table=names[environment["EVENTS_TABLE"]],
            records_table=names[environment["RECORDS_TABLE"]],
        )

    yield client("dynamodb", environment), over
    for name in names.values():
        dynamodb.delete_table(TableName=name)


@pytest.fixture
def moved_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`FakeClock` says how late it is."""
    # The one place where the service reads the clock: no port is needed to move it.
    monkeypatch.setattr(clock, "datetime", FakeClock)
    yield
    FakeClock.ahead = timedelta()


@pytest.fixture
def new_game(stores_over: tuple[Any, StoresOver]) -> Iterator[Callable[[], Simulation]]:
    """Begins a game; all of a test's games have one tool server."""
    till = FakePaymentServer()
    with LoopbackServer(till) as server:
        yield partial(Simulation, *stores_over, till, server)


@pytest.fixture
def game(new_game: Callable[[], Simulation]) -> Simulation:
    """One game."""
    return new_game()
