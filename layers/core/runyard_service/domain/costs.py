"""Money: exact decimals in USD, rounded once, when a step gets its cost.

Invariant: a cost has at most 12 decimals. Sums of such costs are exact. A cost below 1,000 USD has
at most 15 significant digits, so it survives a JSON number (the shortest text of a float).
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# Prices have at most 6 decimals per million tokens, so tokens times price have at most 12: rounding
# loses nothing.
COST_STEP = Decimal("1e-12")


def rounded(cost: Decimal) -> Decimal:
    """Return the cost of one step, rounded as it is stored and summed."""
    return cost.quantize(COST_STEP, ROUND_HALF_UP)


def to_number(cost: Decimal) -> float:
    """Return the cost as a JSON number."""
    return float(cost)


def from_number(number: Any) -> Decimal:
    """Return the cost that a JSON number shows. Convert through text, not a binary fraction."""
    return Decimal(str(number))
