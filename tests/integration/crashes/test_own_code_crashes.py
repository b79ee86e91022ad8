"""Test a crash around each invocation and each write of a run of the user's own code."""

from collections.abc import Iterator

import pytest

from tests.crashes.crash_harness import CrashHarness
from tests.crashes.matrix import Point, all_points, record, verdict
from tests.crashes.scenarios import scenario

pytestmark = pytest.mark.timeout(600)

_WRITES = ("dynamodb.PutItem", "dynamodb.TransactWriteItems")


@pytest.fixture
def own_code_points(harness: CrashHarness) -> Iterator[list[Point]]:
    recordings = record(harness, [scenario(name) for name in ("own code", "reminder")])
    yield [point for point in all_points(recordings) if _is_selected(point)]
    harness.payment_server.own_agent.release()


def _is_selected(point: Point) -> bool:
    """Return True for a worker that loses an invocation, or dies after a write."""
    fault = point.fault_at.fault
    if point.fault_at.use_case != "advance_run" or fault.effect == "drop_once":
        return False
    if fault.call.startswith("lambda.Invoke"):
        return True
    is_write = fault.call.startswith(_WRITES)
    return is_write and (fault.edge, fault.effect) == ("after", "kill")


def test_a_lost_worker_repeats_no_unsafe_step_and_asks_once(
    harness: CrashHarness, own_code_points: list[Point]
) -> None:
    verdicts = [verdict(harness, point) for point in own_code_points]
    assert len(verdicts) > 20
    assert [f"{one.point}: {one.violations}" for one in verdicts if one.violations] == []
