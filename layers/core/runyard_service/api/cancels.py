"""The cancel of a run, which both APIs have."""

import asyncio
from collections.abc import Mapping
from typing import Any

from runyard_service.api.services import Services
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.domain.runs import Run


async def canceled(
    services: Services, run: Run, requested_by: str, remarks: Mapping[str, Any] | None = None
) -> None:
    """End the run as canceled; one that has ended stays as it is."""
    # Also one that is canceled: its execution may not have been stopped.
    if run.status not in ("completed", "failed"):
        await asyncio.to_thread(
            cancel_run, services.stores, services.orchestrator, run.id, requested_by, remarks
        )
        services.followed_runs.wake(run.id)
