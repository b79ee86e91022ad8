"""Stored runs that no execution owns."""

from typing import Any

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run


def create_run(stores: Stores, agent: Snapshot | str | None = None, **fields: Any) -> Run:
    """Create a run without a log and without an execution; `fields` replace the default values.

    Without the snapshot of an `agent` no worker can advance it.
    """
    snapshot = agent if isinstance(agent, Snapshot) else None
    run = Run.model_validate(
        {
            "id": new_id(),
            "project_id": "p",
            "org_id": "o",
            "app_id": new_id(),
            "agent": snapshot.name if snapshot else agent or "none@1",
            "definition_digest": _save_definition(stores, snapshot) if snapshot else "none",
            "input": {"x": 1},
            "started_at": timestamp(),
            **fields,
        }
    )
    stores.runs.create(run)
    return run


def _save_definition(stores: Stores, agent: Snapshot) -> str:
    return stores.definitions.save(agent.to_stored())
