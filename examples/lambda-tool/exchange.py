"""A tool that converts an amount. Runyard calls it as a Lambda function or as a Python function."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

EUR_PER_UNIT = {"EUR": Decimal(1), "USD": Decimal("0.92"), "GBP": Decimal("1.17")}


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Return the result as JSON; the event holds the tool call's arguments.

    `context.client_context.custom` holds `run_id` and `tool_call_id`. A tool that changes something
    uses `tool_call_id` as its idempotency key.
    """
    return convert(**event)


def convert(amount: float, currency: str) -> dict[str, Any]:
    """Convert an amount to EUR.

    Raise ValueError for an unknown currency; the model reads the message.
    """
    if currency not in EUR_PER_UNIT:
        raise ValueError(f"unknown currency {currency!r}; known: {', '.join(EUR_PER_UNIT)}")
    eur = Decimal(str(amount)) * EUR_PER_UNIT[currency]
    return {"eur": float(eur.quantize(Decimal("0.01"), ROUND_HALF_UP))}
