"""The usage of several ended runs together."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import reduce
from typing import Any

from runyard_service.domain.runs import RunStatus, Usage


@dataclass(frozen=True)
class UsageTotals:
    """The number of runs, by status, and the sums of their usage.

    `cost_usd` is the exact sum of the known costs; None while none is known. `runs_without_cost`
    counts the runs that used a model whose price is not known: the sum lacks their cost.
    """

    runs: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    runs_without_cost: int = 0
    cost_usd: Decimal | None = None

    @classmethod
    def of_run(cls, status: RunStatus, usage: Usage) -> "UsageTotals":
        """Return the totals of a single run that ended with this status and usage."""
        used_model = bool(usage.steps or usage.input_tokens or usage.output_tokens)
        return cls(
            runs=1,
            completed=int(status == "completed"),
            failed=int(status == "failed"),
            canceled=int(status == "canceled"),
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
            runs_without_cost=int(used_model and usage.cost_usd is None),
            cost_usd=usage.cost_usd,
        )

    def plus(self, other: "UsageTotals") -> "UsageTotals":
        """Return the sum. An unknown cost does not remove a known cost."""
        counts: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name) for name in COUNTS
        }
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return UsageTotals(**counts, cost_usd=sum(costs, Decimal(0)) if costs else None)


# The fields that are whole numbers.
COUNTS = tuple(field.name for field in fields(UsageTotals) if field.name != "cost_usd")


def sum_of(totals: Iterable[UsageTotals]) -> UsageTotals:
    """Return the sum of all totals."""
    return reduce(UsageTotals.plus, totals, UsageTotals())
