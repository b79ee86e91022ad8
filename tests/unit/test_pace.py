"""The pace of calls with a low quota, with a clock of the test."""

from typing import Any

from runyard_service.adapters.pace import Pace
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.domain.runs import Execution

RUN = "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001"


class Clock:
    """A clock that only a sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_calls_wait_only_after_the_burst() -> None:
    clock = Clock()
    pace = Pace(5, 10, lambda: clock.now, clock.sleep)
    for _ in range(5):
        pace.wait()
    assert clock.now == 100
    for _ in range(20):
        pace.wait()
    assert round(clock.now, 6) == 102


def test_a_pause_refills_the_burst_and_not_more() -> None:
    clock = Clock()
    pace = Pace(5, 10, lambda: clock.now, clock.sleep)
    for _ in range(5):
        pace.wait()
    clock.now += 3600
    started = clock.now
    for _ in range(6):
        pace.wait()
    assert round(clock.now - started, 6) == 0.1


class Executions:
    """A client of Step Functions whose executions all run."""

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        return {"status": "RUNNING", "executionArn": executionArn}


def test_executions_are_described_within_the_quota_of_every_region() -> None:
    clock, client = Clock(), Executions()
    orchestrator = Orchestrator(lambda: client, "arn:stateMachine:run")  # type: ignore[arg-type, return-value]
    pace = orchestrator._describing
    pace._clock, pace._sleep = (lambda: clock.now), clock.sleep
    for _ in range(500):
        assert orchestrator.state(Execution.parse(RUN, RUN)) == "running"
    # 250 at once and 10 a second: the quota of most regions.
    assert 250 + 10 * (clock.now - 100) + 1e-6 >= 500
