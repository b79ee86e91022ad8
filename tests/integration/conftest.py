"""The world of the crash tests: each module has its own, on a stack of its own."""

from collections.abc import Iterator

import pytest

from runyard_dev.dev_stack import DevStack
from tests.crashes.crash_harness import CrashHarness, open_harness


@pytest.fixture(scope="module")
def crash_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A stack apart from the others': no other sweep comes by, and its own finds no other runs.

    What a sweep calls, and so the points of the matrix, depends on what it finds.
    """
    folder = tmp_path_factory.mktemp("crashes")
    with DevStack.start(data_dir=folder, web=False, sweep_seconds=None) as stack:
        yield stack


@pytest.fixture(scope="module")
def world(crash_stack: DevStack) -> Iterator[CrashHarness]:
    """Processes that can die, a state machine in hand, and the systems around them."""
    with open_harness(crash_stack) as opened:
        yield opened
