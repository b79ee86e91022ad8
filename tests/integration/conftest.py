"""The world of the crash tests: each module has its own, on one stack for all of them."""

from collections.abc import Iterator

import pytest

from runyard.dev.supervisor import LocalStack
from tests.crashes.world import World, open_world


@pytest.fixture(scope="session")
def crash_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack apart from the others': its runs are nobody else's, and no other sweep comes by."""
    folder = tmp_path_factory.mktemp("crashes")
    with LocalStack.start(data_dir=folder, web=False, sweep_seconds=None) as stack:
        yield stack


@pytest.fixture(scope="module")
def world(crash_stack: LocalStack) -> Iterator[World]:
    """Processes that can die, a state machine in hand, and the systems around them."""
    with open_world(crash_stack) as opened:
        yield opened
