"""Delete ended runs and inactive threads whose retention period is over.

No record stores its deletion day. The retention reads the lists of ended runs up to the first
retained day, so a changed number of days applies to all existing runs. Days are whole (UTC): the
set of expired runs changes only at midnight.
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
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.request_errors import RequestError
from runyard_service.domain.runs import ENDED

# Concurrent deletions. A deletion is about 20 sequential calls.
_AT_ONCE = 8

_log = logging.getLogger(__name__)


class Retention:
    """The retention of one installation. `default_days` 0 means no time limit."""

    def __init__(self, stores: Stores, default_days: int) -> None:
        self._stores = stores
        self._default_days = default_days
        # Threads are listed by creation time: list inactive threads only once a day.
        self._listed_days: dict[str, str] = {}

    def enforce(self, seconds: float) -> int:
        """Delete expired runs and threads for at most `seconds`. Return how many it deleted.

        The next call continues, and retries a deletion that failed.
        """
        until = time.monotonic() + seconds
        projects = self._stores.access_keys.all_projects()
        days = self._stores.retention_days.of(projects, self._default_days)
        deleted = 0
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # In random order: if the time is short, no project is always the last.
            for project_id, retention_days in random.sample(list(days.items()), len(days)):
                if not retention_days:
                    continue
                attempts = self._attempts(project_id, _first_retained_day(retention_days))
                remaining = iter(attempts)
                while time.monotonic() < until and (batch := list(islice(remaining, 4 * _AT_ONCE))):
                    deleted += sum(threads.map(_succeeds, batch))
        return deleted

    def _attempts(self, project_id: str, since: str) -> Iterable[Callable[[], object]]:
        """Yield a deletion for each expired run and thread of the project."""
        stores = self._stores
        for status in sorted(ENDED):
            for run_id in stores.run_lists.ended_before(project_id, status, since):
                yield partial(delete_run, stores, run_id)
        if self._listed_days.get(project_id) != since:
            for thread_id in stores.threads.inactive_since(project_id, since):
                yield partial(stores.threads.delete, thread_id)
            self._listed_days[project_id] = since


def _first_retained_day(days: int) -> str:
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return timestamp(today - timedelta(days=days))


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (RetryableError, RequestError):
        # The store is busy, a run has started in the thread, or a caller deletes it concurrently.
        _log.warning("not deleted", exc_info=True)
        return False
    return True
