"""Delete a run that has ended, with everything that belongs to it.

Its messages in a thread stay: they belong to the thread and are deleted with it.
"""

from runyard_service.adapters.stores import Stores
from runyard_service.domain.request_errors import NotFoundError


def delete_run(stores: Stores, run_id: str) -> None:
    """Hide the run from all callers, and remove it now, or in the sweep if that is too early.

    Complete an interrupted deletion; change nothing if the run is already deleted. Raise
    RunActiveError if the run has not ended, NotFoundError if there is no such run.
    """
    run = stores.runs.get(run_id)
    deleted = stores.deleted_runs.find(run_id) if run is None else stores.deleted_runs.hide(run)
    if deleted is None:
        if run is None:
            raise NotFoundError
        return
    if deleted.is_gone:
        return
    if deleted.idempotency_digest:
        stores.idempotency.forget(deleted.idempotency_digest, run_id)
    if deleted.is_removable:
        stores.spending.release(run_id)
        # Deleted runs stay counted, also if the stream is late: nothing is left to count later.
        stores.usage_counters.add([run_id])
        stores.deleted_runs.remove(deleted)
