"""`python -m runyard.cli.verify`: prove the log of every run in the store, and print a count.

Reads the store that the environment names, as the functions do; without `EVENTS_TABLE` in it, the
local stack's in `DATA_DIR` (default `.runyard`), whether the stack is running or not.
"""

import os
import sys
from collections import Counter

from runyard_service.adapters.stores import Stores
from runyard_service.application.maintenance.verify_log import faults_of_run


def verify(stores: Stores) -> int:
    """Check every run and print what is found; gives the number of runs with a fault."""
    run_ids = sorted(stores.runs.ids() | stores.log.run_ids())
    statuses: Counter[str] = Counter()
    faulty = events = 0
    for run_id in run_ids:
        statuses[_status(stores, run_id)] += 1
        events += stores.log.last(run_id)[0]
        faults = faults_of_run(stores, run_id)
        faulty += bool(faults)
        for fault in faults:
            print(f"{run_id}: {fault}")
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    print(f"{len(run_ids)} runs ({by_status or 'none'}), {events} events, {faulty} with faults")
    return faulty


def _status(stores: Stores, run_id: str) -> str:
    if (run := stores.runs.get(run_id)) is not None:
        return run.status
    return "deleted" if stores.deleted_runs.find(run_id) else "missing"


def main() -> int:
    """The exit code is 1 where a run has a fault, 2 where there is no store."""
    if os.environ.get("EVENTS_TABLE"):
        from runyard_service.container import container

        return min(verify(container().stores), 1)
    from runyard_dev.data_dir import chosen_data_dir
    from runyard_dev.open_store import open_store

    data_dir = chosen_data_dir()
    if not (data_dir / "lock").exists():
        print(f"{data_dir} holds no runs: it is not a local stack's DATA_DIR", file=sys.stderr)
        return 2
    with open_store(data_dir) as stores:
        return min(verify(stores), 1)


if __name__ == "__main__":
    sys.exit(main())
