"""The tool `lookup_order`: a Lambda function that gets the arguments as its event."""

from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return an order. Read your database here."""
    return {"order": event["order"], "amount": 49}
