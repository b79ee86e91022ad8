"""The spending of projects and their agents per day (UTC), and the holds of runs on it.

A ledger is an item for a capped day: `spent` is the cost so far, and `committed` adds the holds. A
run holds the highest possible cost of its next response, in its own item. So a worker that recovers
the run finds its hold. Amounts are in USD:

    reserve    hold 5, committed + 5   only if the cap is not exceeded, and the run has not ended
    settle     hold 0, committed - 5 + 2, spent + 2   in the transaction that records the response
    release    hold 0, committed - 5   without a response

Each operation requires the hold's id that it has read, and replaces it. So none takes effect twice.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import now, timestamp, timestamp_in
from runyard_service.domain.errors import RunyardError, SupersededError
from runyard_service.domain.ids import new_id

# A worker's invocation has ended by then. A hold that remains after the run's end is unused.
_CHECK_AFTER_SECONDS = 960
_LEDGER_DAYS = 90
# The id of an empty hold.
_FREE = "free"


@dataclass(frozen=True)
class DailyCap:
    """The amount that a project, or an agent of it, may spend in a day."""

    project_id: str
    usd: Decimal
    agent: str = ""


class DailyCapError(RunyardError):
    """The highest possible cost of the next response exceeds the rest of a daily cap."""

    def __init__(self, cap: DailyCap) -> None:
        super().__init__("daily cap")
        self.cap = cap


@dataclass(frozen=True)
class Hold:
    """The amount that a run holds in each of these ledgers."""

    run_id: str
    id: str
    usd: Decimal
    ledgers: tuple[str, ...]


class Spending:
    """The ledgers and holds of the records table."""

    def __init__(self, table: Table, runs: Runs) -> None:
        self._table = table
        self._runs = runs

    def totals(self, cap: DailyCap, day: str) -> tuple[Decimal, Decimal]:
        """Return the committed and the spent USD of a day (`2026-11-24`)."""
        ledger = keys.spending(cap.project_id, cap.agent, day)
        item = self._table.get(keys.ledger(ledger)) or {}
        return item.get("committed", Decimal(0)), item.get("spent", Decimal(0))

    def reserve(self, run_id: str, caps: Sequence[DailyCap], usd: Decimal) -> Hold:
        """Hold `usd` of today's caps for the run, instead of its previous hold.

        Raises DailyCapError if a cap would be exceeded, SupersededError if the run has ended or if
        another worker has changed its hold. Raises ValueError for a negative amount.
        """
        _check_amount(usd)
        today = timestamp()[:10]
        ledgers = {keys.spending(cap.project_id, cap.agent, today): cap for cap in caps}
        hold, previous = Hold(run_id, new_id(), usd, tuple(ledgers)), self._find_hold(run_id)
        amounts = dict.fromkeys(ledgers, usd)
        for ledger in previous.ledgers if previous else ():
            amounts[ledger] = amounts.get(ledger, Decimal(0)) - (previous.usd if previous else 0)
        changes = [self._runs.active_check(run_id), self._hold_change(hold, previous)]
        for ledger, amount in amounts.items():
            cap = ledgers.get(ledger)
            if cap is not None and amount > cap.usd:
                # The write's condition would accept this amount if the ledger does not exist yet.
                raise DailyCapError(cap)
            changes.append(self._ledger_change(ledger, {"committed": amount}, cap))
        try:
            transact(self._table.client, changes)
        except ConditionFailedError as error:
            stored = self._find_hold(run_id)
            if stored is not None and stored.id == hold.id:
                return hold  # boto3 repeated a call whose response was lost.
            for index, ledger in enumerate(amounts, start=2):
                if index in error.items and ledger in ledgers:
                    raise DailyCapError(ledgers[ledger]) from error
            raise SupersededError(run_id) from error
        return hold

    def settle_changes(self, hold: Hold, cost: Decimal | None) -> list[TransactWriteItem]:
        """Return the changes that replace the hold by the response's cost in USD.

        A response of unknown cost (None) counts as the whole hold. Raises ValueError for a negative
        cost, which would increase what is left of the day's cap.
        """
        spent = hold.usd if cost is None else cost
        _check_amount(spent)
        amounts = {"committed": spent - hold.usd, "spent": spent}
        return self._free_changes(hold, amounts)

    def release(self, run_id: str) -> None:
        """Release the run's hold, if it has a hold, after a call without a response."""
        hold = self._find_hold(run_id)
        if hold is None or hold.id == _FREE:
            return
        with suppress(ConditionFailedError):  # Another worker was first.
            transact(self._table.client, self._free_changes(hold, {"committed": -hold.usd}))

    def _free_changes(self, hold: Hold, amounts: Mapping[str, Decimal]) -> list[TransactWriteItem]:
        return [
            self._hold_change(Hold(hold.run_id, _FREE, Decimal(0), ()), hold),
            *(self._ledger_change(ledger, amounts) for ledger in hold.ledgers),
        ]

    def _find_hold(self, run_id: str) -> Hold | None:
        item = self._table.get(keys.hold(run_id))
        if item is None:
            return None
        return Hold(run_id, item["hold_id"], item["usd"], tuple(item["ledgers"]))

    def _hold_change(self, hold: Hold, previous: Hold | None) -> TransactWriteItem:
        """Return the change that stores the hold. The sweep checks a hold that is not empty."""
        is_free = hold.id == _FREE
        fields = {
            "hold_id": hold.id,
            "usd": hold.usd,
            "ledgers": list(hold.ledgers),
            "sweep_shard": None if is_free else keys.sweep_shard(hold.run_id),
            "sweep_at": None if is_free else timestamp_in(_CHECK_AFTER_SECONDS),
        }
        if previous is None:
            return self._table.put_change({**keys.hold(hold.run_id), **fields}, if_absent=True)
        return self._table.update_change(
            keys.hold(hold.run_id), fields, only_if={"hold_id": previous.id}
        )

    def _ledger_change(
        self, ledger: str, amounts: Mapping[str, Decimal], cap: DailyCap | None = None
    ) -> TransactWriteItem:
        at_most = {} if cap is None else {"committed": cap.usd - amounts["committed"]}
        ttl = int((now() + timedelta(days=_LEDGER_DAYS)).timestamp())
        return self._table.add_change(keys.ledger(ledger), amounts, {"ttl": ttl}, at_most)


def _check_amount(usd: Decimal) -> None:
    if usd < 0:
        raise ValueError(f"an amount of {usd} USD is negative")
