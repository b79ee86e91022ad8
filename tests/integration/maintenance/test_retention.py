"""Test retention: runs and idle threads are deleted after their time."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from runyard_service.application.maintenance.retention import Retention
from runyard_service.domain.clock import now, timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import RunStatus
from runyard_service.domain.threads import Thread
from tests.support.run_factory import create_run

ENOUGH = 60.0
# Other projects in this module also have old runs.
FOR_AGES = 36_500


def days_ago(days: float) -> str:
    """Return the time `days` before the end of today, where a fraction of a day decides."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return timestamp(midnight - timedelta(days=days))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Yield a separate stack: only the sweeps of the tests delete anything."""
    folder = tmp_path_factory.mktemp("retention")
    with DevStack.start(data_dir=folder, web=False, sweep_seconds=None) as running:
        yield running


@pytest.fixture(scope="module")
def stores(stack: DevStack) -> Stores:
    """Return its stores."""
    return stores_of(stack.environment)


@pytest.fixture
def project(stores: Stores) -> Iterator[str]:
    """Yield a new project that retains runs for 30 days."""
    project_id = f"p-{new_id()}"
    stores.access_keys.save(f"ry_{new_id()}", project_id=project_id, org_id=f"o-{project_id}")
    stores.retention_days.set(project_id, 30)
    yield project_id
    stores.retention_days.set(project_id, 0)


def run_of(
    stores: Stores, project_id: str, status: RunStatus, started: float, ended: float | None
) -> str:
    run = create_run(
        stores,
        project_id=project_id,
        status=status,
        started_at=days_ago(started),
        ended_at=None if ended is None else days_ago(ended),
    )
    return run.id


def are_there(stores: Stores, *run_ids: str) -> list[bool]:
    return [stores.runs.get(run_id) is not None for run_id in run_ids]


def test_runs_are_deleted_after_their_retention_time(stores: Stores, project: str) -> None:
    old = [run_of(stores, project, status, 90, 32) for status in ("completed", "failed")]
    old.append(run_of(stores, project, "canceled", 90, 31.1))
    # It waited for eleven months, and ended on the last retained day.
    young = [
        run_of(stores, project, "completed", 330, 30.9),
        run_of(stores, project, "paused", 330, None),
    ]
    assert Retention(stores, 0).enforce(ENOUGH) == 3
    assert are_there(stores, *old) == [False] * 3
    assert [stores.deleted_runs.find(run_id) is not None for run_id in old] == [True] * 3
    assert are_there(stores, *young) == [True, True]
    assert Retention(stores, 0).enforce(ENOUGH) == 0


def test_the_retention_of_a_project_overrides_the_installations(
    stores: Stores, project: str
) -> None:
    run_id = run_of(stores, project, "completed", 10, 10)
    assert Retention(stores, FOR_AGES).enforce(ENOUGH) == 0
    stores.retention_days.set(project, 0)
    assert stores.retention_days.of([project, "unknown"], FOR_AGES) == {
        project: 0,
        "unknown": FOR_AGES,
    }
    stores.retention_days.set(project, None)
    assert stores.retention_days.of([project], FOR_AGES) == {project: FOR_AGES}
    stores.retention_days.set(project, 5)
    assert Retention(stores, FOR_AGES).enforce(ENOUGH) == 1
    assert are_there(stores, run_id) == [False]


def test_idle_threads_are_deleted_and_used_threads_remain(stores: Stores, project: str) -> None:
    def thread(created: float, updated: float, **fields: str) -> str:
        made = Thread(
            id=new_id(),
            project_id=project,
            org_id="o",
            created_at=days_ago(created),
            updated_at=days_ago(updated),
            **fields,  # type: ignore[arg-type]
        )
        stores.threads.create(made)
        return made.id

    at_rest = thread(90, 40)
    stays = [thread(90, 2), thread(2, 2), thread(90, 40, active_run_id=new_id())]
    retention = Retention(stores, 0)
    assert retention.enforce(ENOUGH) == 1
    assert stores.threads.get(at_rest) is None
    assert all(stores.threads.get(thread_id) for thread_id in stays)
    # Idle threads are searched once a day.
    late = thread(90, 40)
    assert retention.enforce(ENOUGH) == 0
    assert Retention(stores, 0).enforce(ENOUGH) == 1
    assert stores.threads.get(late) is None


def test_the_next_sweep_continues_an_unfinished_retention(stores: Stores, project: str) -> None:
    run_id = run_of(stores, project, "completed", 90, 90)
    assert Retention(stores, 0).enforce(0) == 0
    assert are_there(stores, run_id) == [True]


def test_the_sweep_enforces_retention(stack: DevStack, stores: Stores, project: str) -> None:
    run_id = run_of(stores, project, "completed", 90, 90)
    assert stack.sweep({})["expired"] >= 1
    assert are_there(stores, run_id) == [False]
