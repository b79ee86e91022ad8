"""Expired data for the sweep: runs with every kind of data, and a thread."""

from datetime import timedelta

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.run_index.run_list_plan import RunFilter
from runyard_service.domain.clock import now, timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from tests.crashes.crash_harness import LARGE, CrashHarness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import Scenario, _files, _thread

_DAYS = 30
_SCENARIOS = (
    Scenario(
        "expired", {"case": "two input requests", "text": LARGE}, prepare=_files, has_uploads=True
    ),
    Scenario("expired in a thread", prepare=_thread(LARGE)),
)


def sweep_expired_runs(harness: CrashHarness) -> list[ScenarioRun]:
    """Process runs that ended long ago; for each, a sweep deletes all expired data."""
    return [_sweep_expired_run(harness, scenario) for scenario in _SCENARIOS]


def _sweep_expired_run(harness: CrashHarness, scenario: Scenario) -> ScenarioRun:
    scenario_run = ScenarioRun(harness, scenario)
    scenario_run.execute()
    run, stores = scenario_run.run, harness.stores
    assert run is not None
    stores.access_keys.save(f"ry_{new_id()}", project_id=run.project_id, org_id=run.org_id)
    stores.retention_days.set(run.project_id, _DAYS)
    _expire(harness, run)
    # Reading a list writes position markers, which a deletion has to remove.
    assert stores.run_lists.page(RunFilter(run.project_id), (), 1, 1).total > 1
    scenario_run.sweep()
    deleted = stores.deleted_runs.find(run.id)
    assert deleted is not None
    assert deleted.is_gone, "only the tombstone remains"
    assert run.thread_id is None or stores.threads.get(run.thread_id) is None
    return scenario_run


def _expire(harness: CrashHarness, run: Run) -> None:
    """Move the end of the run and its thread into the past; create a second run that stays."""
    stores, table = harness.stores, harness.stores.deleted_runs.records
    at = timestamp(now() - timedelta(days=2 * _DAYS))
    table.update(keys.run(run.id), {"ended_at": at, "ended_key": keys.time_sort_key(at, run.id)})
    if run.thread_id is not None:
        fields = {
            "thread_key": keys.time_sort_key(at, run.thread_id),
            "created_at": at,
            "updated_at": at,
        }
        table.update(keys.thread(run.thread_id), fields)
    stores.runs.create(run.model_copy(update={"id": new_id(), "thread_id": None, "file_ids": ()}))
