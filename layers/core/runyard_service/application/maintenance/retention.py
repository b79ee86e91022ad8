"""Delete what has been kept for as long as it was to be kept: ended runs, and threads at rest.

Nothing is stamped with the day on which it goes: whoever looks asks the lists of ended runs for
those that ended before the first day that is kept. So a changed number of days holds for everything
that is there. Days are whole (UTC), so that a project's lists change shortly after midnight, and
hold still for the rest of the day.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import islice

from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.domain.clock import now, timestamp
from runyard_service.domain.errors import RequestError, RetryableError
from runyard_service.domain.runs import ENDED

# A deletion is some twenty calls, one after the other.
_AT_ONCE = 8

_log = logging.getLogger(__name__)


class Retention:
    """The retention of one installation. `default_days` 0: runs are kept for ever."""

    def __init__(self, stores: Stores, default_days: int) -> None:
        self._stores = stores
        self._default_days = default_days
        # Threads are found by when they began; which of them rest is read once a day.
        self._looked_at: dict[str, str] = {}

    def enforce(self, seconds: float) -> int:
        """Delete what is due, for as long; gives how many runs and threads. The rest is for later.

        A run that cannot be deleted now is left to the next call.
        """
        until = time.monotonic() + seconds
        projects = self._stores.access_keys.all_projects()
        days = self._stores.retention_days.of(projects, self._default_days)
        deleted = 0
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # In another order each time: where the time is short, none is always the last.
            for project_id, kept_days in random.sample(list(days.items()), len(days)):
                if not kept_days:
                    continue
                attempts = self._attempts(project_id, _first_retained_day(kept_days))
                left = iter(attempts)
                while time.monotonic() < until and (some := list(islice(left, 4 * _AT_ONCE))):
                    deleted += sum(threads.map(_succeeds, some))
        return deleted

    def _attempts(self, project_id: str, since: str) -> Iterable[Callable[[], object]]:
        """What is to be deleted of a project, one after the other."""
        stores = self._stores
        for status in sorted(ENDED):
            for run_id in stores.run_lists.ended_before(project_id, status, since):
                yield partial(delete_run, stores, run_id)
        if self._looked_at.get(project_id) != since:
            for thread_id in stores.threads.inactive_since(project_id, since):
                yield partial(stores.threads.delete, thread_id)
            self._looked_at[project_id] = since


def _first_retained_day(days: int) -> str:
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return timestamp(today - timedelta(days=days))


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (RetryableError, RequestError):
        # The store is busy; or a run has begun in the thread, or somebody else deletes it.
        _log.warning("not deleted", exc_info=True)
        return False
    return True
