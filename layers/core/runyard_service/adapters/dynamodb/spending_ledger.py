"""What projects and their agents spend in a day (UTC), and what runs hold of it beforehand.

A ledger is one item for each day that is capped: `committed` is what was spent and what is held,
`spent` the first of the two. A run holds the most that its next reply can cost, in one item of its
own, so whoever takes the run up again finds what was held for it:

    reserve    hold 5, committed + 5   only if the cap is not passed, and the run has not ended
    settle     hold 0, committed - 5 + 2, spent + 2   in the transaction that records the reply
    release    hold 0, committed - 5   no reply came

Every one of them changes the hold's id, which the next one names: none happens twice.
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

# A worker's invocation is over by then: what its run still holds after its end is nobody's.
_CHECK_AFTER_SECONDS = 960
_LEDGER_DAYS = 90
# The id of a hold that holds nothing.
_FREE = "free"


@dataclass(frozen=True)
class DailyCap:
    """What a project may spend in a day, or one agent in it."""

    project_id: str
    usd: Decimal
    agent: str = ""


class DailyCapError(RunyardError):
    """The most that the next reply can cost does not fit what a cap leaves of the day."""

    def __init__(self, cap: DailyCap) -> None:
        super().__init__("daily cap")
        self.cap = cap


@dataclass(frozen=True)
class Hold:
    """What a run holds in these ledgers."""

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
        """What is committed, and what of it is spent, on a day (`2026-11-24`)."""
        ledger = keys.spending(cap.project_id, cap.agent, day)
        item = self._table.get(keys.ledger(ledger)) or {}
        return item.get("committed", Decimal(0)), item.get("spent", Decimal(0))

    def reserve(self, run_id: str, caps: Sequence[DailyCap], usd: Decimal) -> Hold:
        """Hold so much of today for the run, in place of what it holds already.

        Raises DailyCapError where a cap would be passed, SupersededError where the run has ended or
        another worker holds for it.
        """
        today = timestamp()[:10]
        ledgers = {keys.spending(cap.project_id, cap.agent, today): cap for cap in caps}
        hold, before = Hold(run_id, new_id(), usd, tuple(ledgers)), self._found(run_id)
        added = dict.fromkeys(ledgers, usd)
        for ledger in before.ledgers if before else ():
            added[ledger] = added.get(ledger, Decimal(0)) - (before.usd if before else 0)
        changes = [self._runs.live_check(run_id), self._hold_change(hold, before)]
        for ledger, amount in added.items():
            cap = ledgers.get(ledger)
            if cap is not None and amount > cap.usd:
                # An absent ledger would let it pass.
                raise DailyCapError(cap)
            changes.append(self._ledger_change(ledger, {"committed": amount}, cap))
        try:
            transact(self._table.client, changes)
        except ConditionFailedError as error:
            found = self._found(run_id)
            if found is not None and found.id == hold.id:
                return hold  # A call whose answer was lost is sent again, and finds itself.
            for place, ledger in enumerate(added, start=2):
                if place in error.items and ledger in ledgers:
                    raise DailyCapError(ledgers[ledger]) from error
            raise SupersededError(run_id) from error
        return hold

    def settle_changes(self, hold: Hold, cost: Decimal | None) -> list[TransactWriteItem]:
        """The reply has come and cost so much; one that nobody counted cost what was held."""
        spent = hold.usd if cost is None else cost
        amounts = {"committed": spent - hold.usd, "spent": spent}
        return self._freed(hold, amounts)

    def release(self, run_id: str) -> None:
        """No reply has come, and none will: what the run holds, if anything, is free again."""
        hold = self._found(run_id)
        if hold is None or hold.id == _FREE:
            return
        with suppress(ConditionFailedError):  # Another one was first.
            transact(self._table.client, self._freed(hold, {"committed": -hold.usd}))

    def _freed(self, hold: Hold, amounts: Mapping[str, Decimal]) -> list[TransactWriteItem]:
        return [
            self._hold_change(Hold(hold.run_id, _FREE, Decimal(0), ()), hold),
            *(self._ledger_change(ledger, amounts) for ledger in hold.ledgers),
        ]

    def _found(self, run_id: str) -> Hold | None:
        item = self._table.get(keys.hold(run_id))
        if item is None:
            return None
        return Hold(run_id, item["hold_id"], item["usd"], tuple(item["ledgers"]))

    def _hold_change(self, hold: Hold, before: Hold | None) -> TransactWriteItem:
        """What the run holds from now on; the sweep finds it as long as it is anything."""
        is_free = hold.id == _FREE
        fields = {
            "hold_id": hold.id,
            "usd": hold.usd,
            "ledgers": list(hold.ledgers),
            "sweep_shard": None if is_free else keys.sweep_shard(hold.run_id),
            "sweep_at": None if is_free else timestamp_in(_CHECK_AFTER_SECONDS),
        }
        if before is None:
            return self._table.put_change({**keys.hold(hold.run_id), **fields}, if_absent=True)
        return self._table.update_change(
            keys.hold(hold.run_id), fields, only_if={"hold_id": before.id}
        )

    def _ledger_change(
        self, ledger: str, amounts: Mapping[str, Decimal], cap: DailyCap | None = None
    ) -> TransactWriteItem:
        at_most = {} if cap is None else {"committed": cap.usd - amounts["committed"]}
        ends = int((now() + timedelta(days=_LEDGER_DAYS)).timestamp())
        return self._table.add_change(keys.ledger(ledger), amounts, {"ttl": ends}, at_most)
