"""Exact counters of ended runs. Each run is added once, also if its end is reported many times.

A counter is an item for a day (UTC, of the end), project, agent, model and user. It is in one of
four partitions, chosen by the run's id. `pending` has the ids of the runs that its last write
added. Every run that is added also gets a **receipt**, an item of its own. This needs no
transaction, which would cost twice as much:

    read      the counter, then the receipts of the runs and of the pending runs
    confirm   the pending runs without a receipt: a writer stopped after its write of the counter
    write     the totals with the runs that have no receipt and are not pending, which become the
              pending ones; only if the counter's number of runs is still the one that was read
    confirm   these runs

A run that was added always has a receipt or is pending, because pending ids are replaced only after
they have receipts. Another write in between changes the number of runs, and the condition fails.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runyard_service.adapters.conflict_retry import COUNT_RUNS_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Item
from runyard_service.adapters.dynamodb.runs import stored_usage
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.errors import StoreUnavailableError
from runyard_service.domain.runs import ENDED, agent_name
from runyard_service.domain.usage_totals import COUNTS, UsageTotals, sum_of

# The runs that one write adds. Ten ids leave the item below 1 KB, which is one write unit.
_RUNS_AT_ONCE = 10
_RUN_FIELDS = (
    *("id", "project_id", "agent", "model", "fallback_model", "user_id"),
    *("status", "ended_at", "usage"),
)


@dataclass(frozen=True)
class Dimensions:
    """What a counter counts by. A run without a model or a user has an empty text."""

    project_id: str
    day: str
    agent: str
    model: str
    user_id: str


@dataclass(frozen=True)
class _EndedRun:
    id: str
    dimensions: Dimensions
    totals: UsageTotals


class UsageCounters:
    """The counters of the records table, and the receipts of the counted runs."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, run_ids: Iterable[str]) -> None:
        """Add the runs to their counters. Without effect for a run that is added already.

        Runs that have not ended, or whose deletion is complete, are left out. Raises
        StoreUnavailableError if other writers were first in every attempt.
        """
        groups: dict[tuple[Dimensions, int], list[_EndedRun]] = defaultdict(list)
        for run in self._ended_runs(dict.fromkeys(run_ids)):
            groups[run.dimensions, keys.usage_shard(run.id)].append(run)
        for (dimensions, shard), runs in groups.items():
            for start in range(0, len(runs), _RUNS_AT_ONCE):
                self._add(dimensions, shard, runs[start : start + _RUNS_AT_ONCE])

    def _ended_runs(self, run_ids: Iterable[str]) -> Iterator[_EndedRun]:
        items = self._table.batch_get([keys.run(run_id) for run_id in run_ids], _RUN_FIELDS)
        return (_ended_run(item) for item in items if item.get("status") in ENDED)

    def _add(self, dimensions: Dimensions, shard: int, runs: Sequence[_EndedRun]) -> None:
        key = keys.usage(dimensions.project_id, dimensions.day, shard, _digest(dimensions))
        for attempt in retry_on_conflict(COUNT_RUNS_ATTEMPTS, ConditionFailedError):
            stored = self._table.get(key)
            pending = stored["pending"] if stored else []
            confirmed = self._confirmed({*pending, *(run.id for run in runs)})
            self._confirm(set(pending) - confirmed)
            new = [run for run in runs if run.id not in confirmed and run.id not in pending]
            if not new:
                return
            with attempt:
                self._write(key, dimensions, stored, new)
                self._confirm(run.id for run in new)
                return
        raise StoreUnavailableError("a usage counter has too many writers")

    def _write(
        self,
        key: Mapping[str, Any],
        dimensions: Dimensions,
        stored: Item | None,
        new: Sequence[_EndedRun],
    ) -> None:
        totals = sum_of([totals_of(stored or {}), *(run.totals for run in new)])
        changed = {**asdict(totals), "pending": [run.id for run in new]}
        if stored is not None:
            self._table.update(key, changed, only_if={"runs": stored["runs"]})
            return
        names = {name: getattr(dimensions, name) or None for name in ("agent", "model", "user_id")}
        self._table.put({**key, **names, **changed}, if_absent=True)

    def _confirmed(self, run_ids: Collection[str]) -> set[str]:
        receipts = self._table.batch_get([keys.usage_receipt(run_id) for run_id in run_ids])
        return {keys.run_id_of_receipt(receipt) for receipt in receipts}

    def _confirm(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            self._table.put(keys.usage_receipt(run_id))


def totals_of(counter: Item) -> UsageTotals:
    """Return the totals of a counter's item; zeros for an empty item."""
    counts: dict[str, Any] = {name: int(counter.get(name, 0)) for name in COUNTS}
    return UsageTotals(**counts, cost_usd=counter.get("cost_usd"))


def _ended_run(item: Item) -> _EndedRun:
    dimensions = Dimensions(
        project_id=item["project_id"],
        day=item["ended_at"][:10],
        agent=agent_name(item["agent"]),
        model=item.get("fallback_model") or item.get("model") or "",
        user_id=item.get("user_id") or "",
    )
    totals = UsageTotals.of_run(item["status"], stored_usage(item.get("usage") or {}))
    return _EndedRun(item["id"], dimensions, totals)


def _digest(dimensions: Dimensions) -> str:
    """Return a sort key of these names. The names together can be longer than a key."""
    names = json.dumps([dimensions.agent, dimensions.model, dimensions.user_id])
    return hashlib.sha256(names.encode()).hexdigest()[:32]
