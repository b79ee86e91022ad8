"""Delete a run that has ended, with everything that belongs to it.

Its messages in a thread stay: they belong to the thread, and go with it.
"""

from runyard_service.adapters.stores import Stores
from runyard_service.domain.errors import NotFoundError


def delete_run(stores: Stores, run_id: str) -> None:
    """Hide the run from everybody, and remove it as soon as that is safe: now, or by the sweep.

    Does nothing to a run that is deleted already; takes up what was interrupted. Raises
    RunLiveError where the run has not ended, NotFoundError where there is no such run.
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
        stores.deleted_runs.remove(deleted)
