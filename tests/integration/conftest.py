"""Provide the harness of the crash tests: each module has its own, on its own stack."""

from collections.abc import Iterator

import pytest

from runyard_dev.dev_stack import DevStack
from tests.crashes.crash_harness import CrashHarness, open_harness


@pytest.fixture(scope="module")
def crash_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Yield a separate stack: no other sweep runs there, and its sweep finds no other runs.

    The calls of a sweep, and so the points of the matrix, depend on the runs that it finds.
    """
    folder = tmp_path_factory.mktemp("crashes")
    with DevStack.start(data_dir=folder, web=False, sweep_seconds=None) as stack:
        yield stack


@pytest.fixture(scope="module")
def harness(crash_stack: DevStack) -> Iterator[CrashHarness]:
    """Yield processes that can die, a controlled state machine, and the systems around them."""
    with open_harness(crash_stack) as opened:
        yield opened
