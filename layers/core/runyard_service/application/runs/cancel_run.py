"""Cancel a run: write its end first, then stop the execution.

The next append of an active worker fails; the worker then reads the end and stops.
"""

import logging
from collections.abc import Mapping
from typing import Any

from runyard_service.adapters.conflict_retry import CANCEL_RUN_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.errors import AppendConflictError, RetryableError
from runyard_service.domain.request_errors import UnavailableError

_log = logging.getLogger(__name__)


def cancel_run(
    stores: Stores,
    orchestrator: Orchestrator,
    run_id: str,
    requested_by: str,
    client_info: Mapping[str, Any] | None = None,
) -> None:
    """End the run as canceled. Change nothing if the run has ended.

    `client_info` becomes part of the cancel request event. Raise NotFoundError if there is no such
    run.
    """
    journal = Journal.open(stores, run_id)
    for attempt in retry_on_conflict(CANCEL_RUN_ATTEMPTS, AppendConflictError):
        if journal.history.has_ended:
            break
        with attempt:
            journal.cancel(requested_by, client_info or {})
    if not journal.history.has_ended:
        raise UnavailableError({"run": "is being modified concurrently; retry"})
    stores.spending.release(run_id)
    try:
        orchestrator.stop(journal.run.current_execution)
    except RetryableError:
        # Harmless: the next action of the execution reads the end in the log.
        _log.exception("execution not stopped", extra={"run_id": run_id})
