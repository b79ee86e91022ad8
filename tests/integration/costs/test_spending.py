"""Test daily caps: exact under concurrency, and unused holds are released."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb import spending_ledger as module
from runyard_service.adapters.dynamodb.spending_ledger import DailyCap, DailyCapError, Hold
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Limits
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.close_run import close_run
from runyard_service.application.runs.journal import Journal
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Execution, Run
from tests.support.orchestrators import make_orchestrator
from tests.support.run_factory import create_run

NOTHING = (Decimal(0), Decimal(0))
RESPONSE = NewEvent(type="agent.message.completed", data={"content": "", "iteration": 1})


def new_cap(usd: str, agent: str = "") -> DailyCap:
    """Return a cap that no other test uses."""
    return DailyCap(f"project-{new_id()}", Decimal(usd), agent)


def new_run(stores: Stores, cap: DailyCap) -> str:
    """Create a run without a worker; return its id."""
    return create_run(stores, project_id=cap.project_id, org_id=ORG_ID).id


def totals(stores: Stores, cap: DailyCap) -> tuple[Decimal, Decimal]:
    """Return the committed and the spent amounts of today."""
    return stores.spending.totals(cap, timestamp()[:10])


def record_cost(stores: Stores, hold: Hold, cost: Decimal | None) -> None:
    """Record a response of this cost."""
    changes = stores.spending.settle_changes(hold, cost)
    Journal.open(stores, hold.run_id).append([RESPONSE], changes)


def test_thirty_two_concurrent_runs_never_exceed_their_cap(stores: Stores) -> None:
    cap = new_cap("1")
    agents = DailyCap(cap.project_id, Decimal("0.900000000001"), "budgets")
    worst, cost = Decimal("0.1"), Decimal("0.012345678901")
    barrier, over = threading.Barrier(32), threading.Event()
    seen: list[Decimal] = []

    def watch() -> None:
        while not over.is_set():
            seen.append(totals(stores, cap)[0])

    def spend(_: int) -> Decimal:
        run_id, spent = new_run(stores, cap), Decimal(0)
        barrier.wait()
        for _ in range(6):
            try:
                hold = stores.spending.reserve(run_id, [cap, agents], worst)
            except DailyCapError:
                continue
            record_cost(stores, hold, cost)
            spent += cost
        return spent

    with ThreadPoolExecutor(33) as pool:
        watching = pool.submit(watch)
        spent = sum(pool.map(spend, range(32)), Decimal(0))
        over.set()
        watching.result()
    assert max(seen) <= cap.usd
    assert totals(stores, cap) == totals(stores, agents) == (spent, spent)
    assert 0 < spent <= agents.usd


def test_an_unused_cap_rejects_a_hold_above_it(stores: Stores) -> None:
    cap = new_cap("1")
    with pytest.raises(DailyCapError):
        stores.spending.reserve(new_run(stores, cap), [cap], Decimal("1.000000000001"))
    assert totals(stores, cap) == NOTHING


def test_a_recovering_worker_replaces_the_hold_of_the_lost_worker(stores: Stores) -> None:
    cap = new_cap("1")
    run_id = new_run(stores, cap)
    lost = stores.spending.reserve(run_id, [cap], Decimal("0.75"))
    hold = stores.spending.reserve(run_id, [cap], Decimal("0.9"))
    assert totals(stores, cap) == (Decimal("0.9"), Decimal(0))
    record_cost(stores, hold, Decimal("0.25"))
    assert totals(stores, cap) == (Decimal("0.25"), Decimal("0.25"))
    with pytest.raises(AppendConflictError):
        record_cost(stores, lost, Decimal("0.5"))
    assert totals(stores, cap) == (Decimal("0.25"), Decimal("0.25"))


def test_a_response_without_usage_costs_the_held_amount(stores: Stores) -> None:
    cap = new_cap("1")
    hold = stores.spending.reserve(new_run(stores, cap), [cap], Decimal("0.3"))
    record_cost(stores, hold, None)
    assert totals(stores, cap) == (Decimal("0.3"), Decimal("0.3"))


def test_a_hold_of_yesterday_is_released_in_the_ledger_of_yesterday(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = new_cap("1")
    run_id = new_run(stores, cap)
    with monkeypatch.context() as yesterday:
        yesterday.setattr(module, "timestamp", lambda: "2026-01-01T23:59:59.000Z")
        stores.spending.reserve(run_id, [cap], Decimal("0.9"))
    hold = stores.spending.reserve(run_id, [cap], Decimal("0.8"))
    assert stores.spending.totals(cap, "2026-01-01") == NOTHING
    record_cost(stores, hold, Decimal("0.1"))
    assert totals(stores, cap) == (Decimal("0.1"), Decimal("0.1"))


def test_no_hold_is_made_for_an_ended_run(stores: Stores) -> None:
    cap = new_cap("1")
    run_id = new_run(stores, cap)
    close_run(stores, Execution(run_id), "")
    with pytest.raises(SupersededError):
        stores.spending.reserve(run_id, [cap], Decimal("0.1"))
    assert totals(stores, cap) == NOTHING


def test_ending_a_run_releases_its_holds(stores: Stores, stack: DevStack) -> None:
    cap = new_cap("1")
    closed, canceled = new_run(stores, cap), new_run(stores, cap)
    for run_id in (closed, canceled):
        stores.spending.reserve(run_id, [cap], Decimal("0.4"))
    assert totals(stores, cap) == (Decimal("0.8"), Decimal(0))
    close_run(stores, Execution(closed), "States.Timeout")
    assert totals(stores, cap) == (Decimal("0.4"), Decimal(0))
    cancel_run(stores, make_orchestrator(stack), canceled, "user-1")
    stores.spending.release(canceled)
    assert totals(stores, cap) == NOTHING


def test_the_sweep_releases_holds_of_ended_runs(stores: Stores, stack: DevStack) -> None:
    cap = new_cap("1")
    run_id = new_run(stores, cap)
    stores.spending.reserve(run_id, [cap], Decimal("0.4"))
    # The process that ended the run crashed before it released the hold.
    Journal.open(stores, run_id).fail("internal_error", "x")
    assert run_id in set(stores.runs.due_for_check(None))
    sweep_runs(stores, make_orchestrator(stack), everything=True)
    assert totals(stores, cap) == NOTHING
    assert run_id not in set(stores.runs.due_for_check(None))


def test_a_ledger_expires(stores: Stores, stack: DevStack) -> None:
    cap = new_cap("1", "budgets")
    stores.spending.reserve(new_run(stores, cap), [cap], Decimal("0.1"))
    table = Table(stack.client("dynamodb"), stack.environment["RECORDS_TABLE"])
    item = table.get(keys.ledger(keys.spending(cap.project_id, cap.agent, timestamp()[:10])))
    assert item is not None
    assert 89 * 86_400 < int(item["ttl"]) - time.time() < 91 * 86_400


# --- With the real state machine ------------------------------------------------------------------


RunCase = Callable[..., Run]


@pytest.fixture
def run_case(stack: DevStack, stores: Stores) -> RunCase:
    """Return a function that starts a run of `tests/agents/budgets.yaml` and waits for a status."""
    agent = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("budgets")

    def run(project_id: str, case: str, *statuses: str, **limits: Any) -> Run:
        definition = agent.definition.model_copy(update={"limits": Limits(**limits)})
        snapshot = agent.model_copy(update={"definition": definition})
        request = NewRun(org_id=ORG_ID, project_id=project_id, input={"case": case})
        started = start_run(stores, make_orchestrator(stack), snapshot, request)
        for _ in range(600):
            found = stores.runs.get(started.id)
            if found is not None and found.status in statuses:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{started.id} did not get there")

    return run


def test_runs_fail_after_the_project_has_spent_its_daily_cap(
    stores: Stores, run_case: RunCase
) -> None:
    cap = new_cap("1.05")
    stores.access_keys.claim_project(cap.project_id, ORG_ID)
    stores.project_limits.set_daily_usd(cap.project_id, cap.usd)
    assert run_case(cap.project_id, "three steps", "completed").usage.cost_usd == Decimal("0.9")
    assert totals(stores, cap) == (Decimal("0.9"), Decimal("0.9"))
    # No approval is requested: a higher limit of the run has no effect.
    failed = run_case(cap.project_id, "three steps", "failed", "paused", on_limit="ask")
    assert failed.error == {
        "code": "limit_exceeded",
        "message": "the next response may not fit what the project has left of its 1.05 USD "
        f"for {timestamp()[:10]}; the day ends at midnight UTC",
    }
    assert totals(stores, cap) == (Decimal("0.9"), Decimal("0.9"))


def test_runs_fail_after_the_agent_has_spent_its_daily_cap(
    stores: Stores, run_case: RunCase
) -> None:
    cap = new_cap("0.6", "budgets")
    failed = run_case(cap.project_id, "three steps", "failed", usd_per_day=cap.usd)
    assert failed.error is not None
    assert "what the agent budgets has left of its 0.6 USD" in failed.error["message"]
    assert failed.usage.cost_usd == Decimal("0.5")
    assert totals(stores, cap) == (Decimal("0.5"), Decimal("0.5"))
    assert totals(stores, DailyCap(cap.project_id, cap.usd)) == NOTHING


def test_an_interrupted_response_leaves_no_hold(stores: Stores, run_case: RunCase) -> None:
    cap = new_cap("5", "budgets")
    limits = {"usd_per_day": cap.usd, "wall_clock_seconds": 1}
    run_case(cap.project_id, "slow", "paused", on_limit="ask", **limits)
    assert totals(stores, cap) == NOTHING
    run_case(cap.project_id, "slow", "failed", **limits)
    # The hold is released after the end of the run.
    for _ in range(600):
        if totals(stores, cap) == NOTHING:
            break
        time.sleep(0.05)
    assert totals(stores, cap) == NOTHING


def test_a_ledger_rejects_negative_amounts(stores: Stores) -> None:
    cap = new_cap("10")
    run_id = new_run(stores, cap)
    with pytest.raises(ValueError, match="negative"):
        stores.spending.reserve(run_id, [cap], Decimal(-1))
    hold = stores.spending.reserve(run_id, [cap], Decimal(5))
    with pytest.raises(ValueError, match="negative"):
        stores.spending.settle_changes(hold, Decimal("-0.01"))
    assert totals(stores, cap) == (Decimal(5), Decimal(0))
