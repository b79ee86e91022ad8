"""Money: exact decimals of a USD, rounded once, where a price arises.

Invariant: a cost has at most 12 decimals. Sums of such costs are exact, and one below 1,000 USD has
at most 15 significant digits, so it survives being a JSON number (a float's shortest text).
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# Prices have at most 6 decimals per million tokens, so tokens times price have at most 12: nothing
# real is lost.
COST_STEP = Decimal("1e-12")


def rounded(cost: Decimal) -> Decimal:
    """The cost of one step as it is kept and summed."""
    return cost.quantize(COST_STEP, ROUND_HALF_UP)


def to_number(cost: Decimal) -> float:
    """The cost as a JSON number."""
    return float(cost)


def from_number(number: Any) -> Decimal:
    """The cost that a JSON number shows: by way of text, never of a binary fraction."""
    return Decimal(str(number))
